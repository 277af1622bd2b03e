"""The Hub's cache: work without a network, damaged files, leftovers."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import filelock
import pytest

from mcnb.errors import ModelDamagedError, ModelDownloadError, ModelError, ModelNotFoundError, UnsafeModelError
from mcnb.models.sources.hub_cache import CachedRepository, hub_cache
from tests.support.hub import StandInHub
from tests.support.tiny_models import DAMAGES, broken, gpt_neo

from .calls import fetch_hub

SMOL = "HuggingFaceTB/SmolLM3-3B"
SMALL = "microsoft/DialoGPT-small"
LARGE = "microsoft/DialoGPT-large"
SHARD = "model-00002-of-00002.safetensors"

Offline = Callable[[pytest.MonkeyPatch], dict[str, bool]]


def by_environment(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return {}


def by_document(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    return {"local_files_only": True}


OFFLINE = [by_environment, by_document]


def test_a_fetched_model_needs_no_network(endpoint: StandInHub) -> None:
    first = fetch_hub(SMOL)
    endpoint.requests.clear()
    assert fetch_hub(SMOL) == first
    assert not endpoint.requests
    endpoint.go_offline()
    assert fetch_hub(SMOL) == first


@pytest.mark.parametrize("offline", OFFLINE)
def test_offline_the_hub_is_not_asked(offline: Offline, endpoint: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch_hub(SMOL)
    endpoint.requests.clear()
    options = offline(monkeypatch)
    assert fetch_hub(SMOL, **options) == first
    with pytest.raises(ModelNotFoundError, match=f"{SMALL} is not on this machine, and the hub may not be asked"):
        fetch_hub(SMALL, **options)
    assert not endpoint.requests


@pytest.mark.parametrize("offline", OFFLINE)
@pytest.mark.parametrize("lost", [SHARD, "config.json", "tokenizer.json"])
def test_half_a_snapshot_is_refused_offline_and_completed_online(
    lost: str, offline: Offline, endpoint: StandInHub, zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch_hub(SMOL).folder
    CachedRepository.remove(folder / lost)
    endpoint.requests.clear()
    with monkeypatch.context() as only_here:
        options = offline(only_here)
        with pytest.raises(ModelDamagedError, match=rf"({lost}|there is no whole tokenizer).*offline"):
            fetch_hub(SMOL, **options)
    assert not endpoint.requests
    assert fetch_hub(SMOL).folder == folder
    assert (folder / lost).read_bytes() == (zoo / SMOL / lost).read_bytes()
    assert [r.path.rsplit("/", 1)[1] for r in endpoint.requests if r.method == "GET" and "resolve" in r.path] == [lost]


@pytest.mark.parametrize("damage", sorted(set(DAMAGES) - {"remote_code", "no_tokenizer"}))
@pytest.mark.parametrize("repository", [SMOL, LARGE])
def test_damaged_files_are_fetched_again(
    repository: str, damage: str, endpoint: StandInHub, zoo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = fetch_hub(repository, allow_pickle=True).folder
    named = broken(folder, damage)
    endpoint.go_offline()
    with pytest.raises(ModelError) as caught:
        fetch_hub(repository, allow_pickle=True, local_files_only=True)
    assert named.name in caught.value.message or "no weights" in caught.value.message
    with pytest.raises(ModelDownloadError):
        fetch_hub(repository, allow_pickle=True)
    endpoint.go_online()
    assert fetch_hub(repository, allow_pickle=True).folder == folder
    for path in folder.iterdir():
        assert path.read_bytes() == (zoo / repository / path.name).read_bytes(), path.name
    assert not list(folder.parents[1].rglob("*.incomplete"))


def test_an_update_finds_damage_that_does_not_show(endpoint: StandInHub, zoo: Path) -> None:
    folder = fetch_hub(SMALL).folder
    for name in ("model.safetensors", "merges.txt"):
        content = bytearray((folder / name).read_bytes())
        content[-10] ^= 1
        (folder / name).write_bytes(content)
    assert fetch_hub(SMALL, update=True).folder == folder
    for name in ("model.safetensors", "merges.txt"):
        assert (folder / name).read_bytes() == (zoo / SMALL / name).read_bytes()


def test_an_update_brings_the_new_revision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "site"
    gpt_neo(site / "tiny/neo")
    with StandInHub(site) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        old = fetch_hub("tiny/neo")
        shutil.rmtree(site / "tiny/neo")
        gpt_neo(site / "tiny/neo", seed=9)
        assert fetch_hub("tiny/neo") == old
        new = fetch_hub("tiny/neo", update=True)
        assert new.revision == hub.commit("tiny/neo") != old.revision
        assert new.identity != old.identity
        assert fetch_hub("tiny/neo") == new
        assert fetch_hub("tiny/neo", revision=old.revision) == old


def test_pickled_weights_of_another_tool_are_not_used_when_there_are_better(endpoint: StandInHub) -> None:
    folder = fetch_hub(SMALL, allow_pickle=True, allow_patterns=("*.bin", "*.json", "*.txt")).folder
    assert not (folder / "model.safetensors").exists()
    with pytest.raises(UnsafeModelError):
        fetch_hub(SMALL, local_files_only=True)
    assert fetch_hub(SMALL).format == "safetensors"


def test_pickled_weights_are_refused_when_the_hub_cannot_be_asked(endpoint: StandInHub) -> None:
    fetch_hub(LARGE, allow_pickle=True)
    endpoint.go_offline()
    with pytest.raises(UnsafeModelError, match="allow_pickle"):
        fetch_hub(LARGE)


def test_leftovers_of_killed_downloads_do_not_pile_up(endpoint: StandInHub, cache_folder: Path) -> None:
    repository = CachedRepository(cache_folder, SMOL)
    blobs = repository.folder / "blobs"
    blobs.mkdir(parents=True)
    locks = cache_folder / ".locks" / repository.folder.name
    locks.mkdir(parents=True)
    left, busy, older = blobs / f"{'a' * 64}.0badcafe.incomplete", blobs / f"{'b' * 40}.00000001.incomplete", None
    older = blobs / f"{'c' * 64}.incomplete"  # of a release that resumes it
    for path in (left, busy, older):
        path.write_bytes(b"x" * 100)
    with filelock.FileLock(locks / f"{'b' * 40}.lock"):  # another program downloads it right now
        fetch_hub(SMOL)
    assert not left.exists()
    assert busy.exists()
    assert older.exists()


def test_the_cache_folder_is_the_one_of_the_hubs_own_client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hub_cache() == tmp_path / "hub-cache"
    assert hub_cache(str(tmp_path / "mine")) == tmp_path / "mine"
    monkeypatch.delenv("HF_HUB_CACHE")
    assert hub_cache() == Path("~/.cache/huggingface/hub").expanduser()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert hub_cache() == tmp_path / "xdg/huggingface/hub"
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    assert hub_cache() == tmp_path / "hf/hub"


def test_a_cache_that_cannot_be_written(endpoint: StandInHub, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ModelError, match=r"SmolLM3-3B: .*file.* cannot be read or written"):
        fetch_hub(SMOL, cache_dir=str(tmp_path / "file" / "cache"))
