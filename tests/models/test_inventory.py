"""What is on this machine's disk, and its removal. See test_pypi for packages that were really fetched."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import ModelError, ModelNotFoundError
from mcnb.models.home import models_home
from mcnb.models.inventory import remove_model, stored_models
from mcnb.models.sources.pypi import MANIFEST
from tests.support.hub import StandInHub

from .calls import fetch_hub

REPOSITORY = "microsoft/DialoGPT-small"


def write(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(size))
    return path


def repository(cache: Path, name: str, size: int) -> Path:
    """Lay out a repository as the hub's client does."""
    folder = cache / f"models--{name}"
    blob = write(folder / "blobs" / "ab12", size)
    link = folder / "snapshots" / "c0ffee" / "model.safetensors"
    link.parent.mkdir(parents=True)
    link.symlink_to(os.path.relpath(blob, link.parent))
    return folder


def package(name: str, version: str, size: int) -> Path:
    folder = models_home() / "pypi" / name / version
    write(folder / MANIFEST, 10)
    write(folder / "weights.gguf", size)
    return folder


def test_an_empty_machine() -> None:
    assert stored_models() == []
    with pytest.raises(ModelNotFoundError, match="here are: none"):
        remove_model("a/b")


def test_what_is_there_by_name(cache_folder: Path) -> None:
    repository(cache_folder, "Zeta--model", 300)
    repository(cache_folder, "gpt2", 200)
    repository(cache_folder, "owner--a--b", 100)
    package("beta", "1.0", 90)
    package("beta", "2.0", 190)
    found = [(model.name, model.provider, model.size) for model in stored_models()]
    assert found == [
        ("beta==1.0", "pypi", 100),
        ("beta==2.0", "pypi", 200),
        ("gpt2", "huggingface", 200),
        ("owner/a--b", "huggingface", 100),
        ("Zeta/model", "huggingface", 300),
    ]


def test_what_is_no_model_is_not_listed(cache_folder: Path) -> None:
    write(cache_folder / "models--a-file", 5)
    write(cache_folder / "datasets--owner--name" / "blobs" / "x", 5)
    write(cache_folder / ".locks" / "models--owner--name" / "x.lock", 5)
    write(models_home() / "pypi" / "half" / ".1.0-scratch" / "weights.gguf", 5)
    write(models_home() / "pypi" / "half" / "1.0" / "weights.gguf", 5)
    assert stored_models() == []


def test_converted_weights_belong_to_their_repository(cache_folder: Path) -> None:
    folder = repository(cache_folder, "owner--name", 100)
    made = write(models_home() / "converted" / "owner--name" / "c0ffee" / "x" / "model.safetensors", 50)
    other = write(models_home() / "converted" / "owner--another" / "c0ffee" / "x" / "model.safetensors", 50)
    (stored,) = stored_models()
    assert stored.size == 150
    assert remove_model("owner/name") == stored
    assert not folder.exists()
    assert not made.exists()
    assert other.exists()


def test_only_the_named_one_is_removed(cache_folder: Path) -> None:
    repository(cache_folder, "owner--name", 100)
    kept = repository(cache_folder, "owner--name2", 100)
    first, second = package("beta", "1.0", 90), package("beta", "2.0", 90)
    remove_model("owner/name")
    remove_model("beta==1.0")
    assert [model.name for model in stored_models()] == ["beta==2.0", "owner/name2"]
    assert kept.exists()
    assert second.exists()
    assert not first.exists()


@pytest.mark.parametrize("name", ["owner", "owner--name", "../owner/name", "beta", "beta==1", "", "*", "owner/Name"])
def test_a_name_has_to_be_exact(cache_folder: Path, name: str) -> None:
    repository(cache_folder, "owner--name", 100)
    package("beta", "1.0", 90)
    with pytest.raises(ModelNotFoundError, match=r"here are: beta==1\.0, owner/name$"):
        remove_model(name)
    assert len(stored_models()) == 2


def test_what_cannot_be_deleted_is_told(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = repository(cache_folder, "owner--name", 100)

    def refuses(path: Path) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(shutil, "rmtree", refuses)
    with pytest.raises(ModelError, match=r"owner/name: .*Permission denied") as caught:
        remove_model("owner/name")
    assert str(folder) in caught.value.message


def test_a_file_that_goes_while_sizes_are_counted(cache_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository(cache_folder, "owner--name", 100)
    lstat = Path.lstat

    def gone(path: Path) -> os.stat_result:
        if path.name == "ab12":
            raise FileNotFoundError(path)
        return lstat(path)

    monkeypatch.setattr(Path, "lstat", gone)
    (stored,) = stored_models()
    assert stored.size == 0


def test_a_fetched_repository_is_listed_and_fetched_again_after_removal(
    endpoint: StandInHub, cache_folder: Path
) -> None:
    snapshot = fetch_hub(REPOSITORY)
    (stored,) = stored_models()
    assert (stored.name, stored.provider) == (REPOSITORY, "huggingface")
    assert stored.size >= snapshot.size
    remove_model(REPOSITORY)
    assert stored_models() == []
    assert not any(cache_folder.glob("models--*"))
    assert fetch_hub(REPOSITORY).folder.is_dir()
