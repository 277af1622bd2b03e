"""Models that lie on this machine."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mcnb.compose.schema import LocalSource
from mcnb.errors import (
    DiskFullError,
    ModelDamagedError,
    ModelError,
    ModelNotFoundError,
    RunCancelledError,
    UnsupportedModelError,
)
from mcnb.models.control import Control
from mcnb.models.home import models_home
from mcnb.models.progress import Progress
from mcnb.models.sources import fetch, gguf
from mcnb.models.sources.gguf import converted, the_one
from mcnb.models.sources.gguf_conversion import CutFileError, described
from tests.support.tiny_models import gguf_llama

from .calls import Reports, fetch_local, load_folder, say
from .conftest import Folders


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a GGUF file that is converted already; not to be changed."""
    folder = tmp_path_factory.mktemp("gguf")
    path = gguf_llama(folder)
    converted(path, "tiny", control=Control(), report=lambda progress: None)
    return folder


@pytest.fixture
def gguf_file(made: Path, tmp_path: Path) -> Path:
    """A copy of it, time stamps included, to be changed."""
    return Path(shutil.copytree(made, tmp_path / "copy")) / "tiny-llama.gguf"


@pytest.fixture
def no_conversion(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail where a file would be converted."""
    monkeypatch.setattr(gguf, "run_child", lambda *_, **__: pytest.fail("it was converted again"))


def copies(done: Path, calls: list[str] | None = None) -> Callable[..., int]:
    """A conversion that copies what was converted before."""

    def convert(arguments: list[str], **_: object) -> int:
        shutil.copytree(done, arguments[-1], dirs_exist_ok=True)
        if calls is not None:
            calls.append(arguments[-1])
        return 0

    return convert


def test_a_folder_is_used_where_it_is(folders: Folders) -> None:
    snapshot = fetch_local(folders("llama"))
    assert snapshot.folder == folders("llama")
    assert (snapshot.provider, snapshot.revision, snapshot.digests) == ("local", None, ())


def test_relative_paths_start_at_the_documents_folder(folders: Folders) -> None:
    folder = folders("llama")
    assert fetch(LocalSource(path=f"./{folder.name}"), folder.parent).folder == folder
    assert fetch(LocalSource(path="."), folder).folder == folder


@pytest.mark.parametrize(
    ("path", "what"), [("nowhere", "no file or folder"), ("note.txt", "neither a model's folder nor a .gguf file")]
)
def test_where_there_is_no_model(path: str, what: str, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello")
    with pytest.raises(ModelNotFoundError, match=f"{path}: there is {what} at {tmp_path / path}"):
        fetch(LocalSource(path=path), tmp_path)


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelDamagedError, match=r"config\.json is missing"):
        fetch_local(tmp_path)


def test_a_gguf_file_is_converted_beside_it(tmp_path: Path) -> None:
    path = gguf_llama(tmp_path / "models", quantization="Q8_0")
    reports = Reports()
    snapshot = fetch_local(path, report=reports)
    assert snapshot.folder == path.parent / "tiny-llama-safetensors"
    told = reports.of("convert")
    assert told[0].total == 0
    assert (told[-1].done, told[-1].unit) == (told[-1].total, "tensors")
    assert [progress.done for progress in told] == sorted(progress.done for progress in told)
    assert {entry.name for entry in path.parent.iterdir()} == {
        path.name,
        "tiny-llama-safetensors",
        ".tiny-llama-safetensors.lock",
    }
    model = load_folder(snapshot.folder)
    assert model.tokenizer.chat_template
    assert say(model, max_output_length=4).result.output_tokens == 4


@pytest.mark.usefixtures("no_conversion")
def test_a_second_time_nothing_is_converted(gguf_file: Path) -> None:
    reports = Reports()
    first = fetch_local(gguf_file, report=reports)
    assert first.folder == gguf_file.parent / "tiny-llama-safetensors"
    assert not reports
    assert fetch_local(gguf_file.parent).folder == first.folder  # the folder means the one file in it


def test_a_changed_file_is_converted_anew(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(gguf, "run_child", copies(gguf_file.parent / "tiny-llama-safetensors", calls))
    stat = gguf_file.stat()
    os.utime(gguf_file, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    assert fetch_local(gguf_file)
    assert len(calls) == 1
    assert fetch_local(gguf_file)
    assert len(calls) == 1


def test_a_folder_that_cannot_be_written(gguf_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = (gguf_file.parent / "tiny-llama-safetensors").rename(tmp_path / "done")
    monkeypatch.setattr(gguf, "run_child", copies(done))
    before = set(gguf_file.parent.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: not (mode == os.W_OK and Path(path) == gguf_file.parent))
    snapshot = fetch_local(gguf_file)
    assert models_home() / "converted" in snapshot.folder.parents
    assert set(gguf_file.parent.iterdir()) == before


def test_a_cancelled_conversion_leaves_nothing(tmp_path: Path) -> None:
    path = gguf_llama(tmp_path / "models")
    control = Control()

    def report(progress: Progress) -> None:
        control.cancel()

    with pytest.raises(RunCancelledError):
        fetch_local(path, control=control, report=report)
    assert {entry.name for entry in path.parent.iterdir()} <= {path.name, ".tiny-llama-safetensors.lock"}


def test_what_a_killed_conversion_left_is_removed(gguf_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done = gguf_file.parent / "tiny-llama-safetensors"
    left = gguf_file.parent / ".tiny-llama-safetensors~abc123"
    done.rename(left)
    monkeypatch.setattr(gguf, "run_child", lambda arguments, **_: 9)
    with pytest.raises(ModelError, match=r"could not be converted.*status 9"):
        fetch_local(gguf_file)
    assert not left.exists()
    assert not done.exists()


def test_no_room_for_the_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gguf_llama(tmp_path / "models")
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage._replace(free=1000))
    with pytest.raises(DiskFullError, match=r"converting tiny-llama\.gguf needs"):
        fetch_local(path)


def test_a_disk_that_fills_up_in_the_conversion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gguf_llama(tmp_path / "models")

    def full(arguments: list[str], on_line: object, **_: object) -> int:
        assert callable(on_line)
        on_line(json.dumps({"error": "disk", "message": "No space left on device"}))
        return 1

    monkeypatch.setattr(gguf, "run_child", full)
    with pytest.raises(DiskFullError, match="the disk became full while converting"):
        fetch_local(path)


def test_an_architecture_that_cannot_be_read(tmp_path: Path) -> None:
    path = gguf_llama(tmp_path / "models")
    path.write_bytes(path.read_bytes().replace(b"llama", b"gptnx"))
    with pytest.raises(UnsupportedModelError, match=r"architecture gptnx.*can be read from GGUF: .*llama.*qwen2"):
        fetch_local(path)


def test_a_file_that_lacks_a_tensor(tmp_path: Path) -> None:
    path = gguf_llama(tmp_path / "models")
    path.write_bytes(path.read_bytes().replace(b"blk.1.ffn_up.weight", b"blk.7.ffn_up.weight"))
    with pytest.raises(ModelDamagedError, match=r"tiny-llama\.gguf could not be converted.*lacks .*up_proj"):
        fetch_local(path)


@pytest.mark.parametrize("kept", [0, 3, 10, 11_000, 66_000, 132_000, 219_000])
def test_a_cut_file(kept: int, tmp_path: Path) -> None:
    path = gguf_llama(tmp_path / "models")
    path.write_bytes(path.read_bytes()[:kept])
    if kept > 3:  # noticed by the process that converts
        with pytest.raises(CutFileError, match="it cannot be read to its end"):
            described(path)
        return
    with pytest.raises(ModelDamagedError, match=r"tiny-llama\.gguf"):
        fetch_local(path)
    assert not (path.parent / "tiny-llama-safetensors").exists()


def test_which_file_is_meant() -> None:
    names = ["a/x-Q4.gguf", "a/x-Q8.gguf", "b/y.txt"]
    assert the_one(names, "*Q4*") == "a/x-Q4.gguf"
    assert the_one(names, "b/y.txt") == "b/y.txt"
    assert the_one(names, "*.bin") is None
    with pytest.raises(ModelNotFoundError, match=r"'\*\.gguf' means 2 files: a/x-Q4\.gguf, a/x-Q8\.gguf"):
        the_one(names, "*.gguf")
