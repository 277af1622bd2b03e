"""The stand-in Hub works with the real client, and misbehaves when asked to."""

from __future__ import annotations

import http.client
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from .hub import StandInHub

SMOL = "HuggingFaceTB/SmolLM3-3B"
LARGE = "microsoft/DialoGPT-large"


def same(first: Path, second: Path) -> bool:
    names = sorted(p.relative_to(first) for p in first.rglob("*") if p.is_file())
    return all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_a_snapshot_is_the_repository(hub: StandInHub, zoo: Path, tmp_path: Path) -> None:
    got = Path(snapshot_download(SMOL, endpoint=hub.url, cache_dir=tmp_path))
    assert same(zoo / SMOL, got)
    assert got.name == hub.commit(SMOL)
    assert hub.bytes_sent == sum(file.stat().st_size for file in (zoo / SMOL).iterdir())
    hub.requests.clear()
    snapshot_download(SMOL, endpoint=hub.url, cache_dir=tmp_path)
    assert not [request for request in hub.requests if "/resolve/" in request.path]


def test_a_cut_download_resumes(hub: StandInHub, zoo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50_000)  # the client keeps whole chunks only
    hub.cut_after(120_000, only="*.bin")
    got = Path(snapshot_download(LARGE, endpoint=hub.url, cache_dir=tmp_path))
    assert same(zoo / LARGE, got)
    ranges = [r.range for r in hub.requests if r.method == "GET" and r.path.endswith("pytorch_model.bin")]
    assert ranges == [None, "bytes=100000-"]


def test_a_cut_can_be_a_reset(hub: StandInHub) -> None:
    hub.cut_after(1000, reset=True)
    connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
    connection.request("GET", f"/{LARGE}/resolve/main/pytorch_model.bin")
    with pytest.raises(ConnectionResetError):
        connection.getresponse().read()
    connection.close()


def test_absences_are_told_apart(hub: StandInHub, tmp_path: Path) -> None:
    with pytest.raises(RepositoryNotFoundError):
        snapshot_download("HuggingFaceTB/SmolLM3-1.7B", endpoint=hub.url, cache_dir=tmp_path)
    with pytest.raises(RepositoryNotFoundError):
        snapshot_download("gpt2", endpoint=hub.url, cache_dir=tmp_path)
    with pytest.raises(RevisionNotFoundError):
        snapshot_download(SMOL, revision="v2", endpoint=hub.url, cache_dir=tmp_path)
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(SMOL, "vocab.json", endpoint=hub.url, cache_dir=tmp_path)


def test_a_gated_repository_needs_the_token(hub: StandInHub, tmp_path: Path) -> None:
    hub.gate(SMOL)
    assert HfApi(endpoint=hub.url).model_info(SMOL).gated == "manual"
    for token in (False, "hf_another"):
        with pytest.raises(GatedRepoError):
            snapshot_download(SMOL, endpoint=hub.url, cache_dir=tmp_path, token=token)
    assert snapshot_download(SMOL, endpoint=hub.url, cache_dir=tmp_path, token=hub.token)


def test_a_refusing_service_is_an_error_and_recovers(hub: StandInHub, tmp_path: Path) -> None:
    hub.refuse_api(1)
    with pytest.raises(LocalEntryNotFoundError) as caught:
        snapshot_download(LARGE, endpoint=hub.url, cache_dir=tmp_path)
    assert isinstance(caught.value.__cause__, HfHubHTTPError)
    assert snapshot_download(LARGE, endpoint=hub.url, cache_dir=tmp_path)


def test_offline_refuses_connections_until_online_again(hub: StandInHub, tmp_path: Path) -> None:
    url = hub.url
    HfApi(endpoint=url).model_info(LARGE)  # leaves a connection open
    hub.go_offline()
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download(LARGE, endpoint=url, cache_dir=tmp_path)
    hub.go_online()
    assert hub.url == url
    got = snapshot_download(LARGE, endpoint=url, cache_dir=tmp_path)
    hub.go_offline()
    assert snapshot_download(LARGE, endpoint=url, cache_dir=tmp_path) == got


def test_listings(hub: StandInHub, zoo: Path) -> None:
    api = HfApi(endpoint=hub.url)
    assert [model.id for model in api.list_models(search="smollm")] == [SMOL]
    files: dict[str, Any] = {file.path: file for file in api.list_repo_tree(SMOL)}
    assert set(files) == {file.name for file in (zoo / SMOL).iterdir()}
    assert files["config.json"].lfs is None
    assert len(files["model-00001-of-00002.safetensors"].lfs.sha256) == 64
    assert [file.path for file in api.get_paths_info(SMOL, ["config.json", "nothing"])] == ["config.json"]
    assert [branch.target_commit for branch in api.list_repo_refs(SMOL).branches] == [hub.commit(SMOL)]


def test_the_commit_follows_the_content(zoo: Path, tmp_path: Path) -> None:
    shutil.copytree(zoo / SMOL, tmp_path / SMOL)
    copied = StandInHub(tmp_path)
    assert copied.commit(SMOL) == StandInHub(zoo).commit(SMOL)
    (tmp_path / SMOL / "README.md").write_text("new")
    assert copied.commit(SMOL) != StandInHub(zoo).commit(SMOL)


def test_rate_and_delay_slow_it_down(hub: StandInHub, tmp_path: Path) -> None:
    hub.rate, hub.delay = 1_000_000, 0.1
    began = time.monotonic()
    hf_hub_download(LARGE, "pytorch_model.bin", endpoint=hub.url, cache_dir=tmp_path)
    assert time.monotonic() - began > 0.5  # 0.4 MB, a HEAD and a GET


def test_leaving_ends_every_thread_even_in_the_middle_of_a_body(zoo: Path) -> None:
    before = set(threading.enumerate())
    with StandInHub(zoo, rate=1000) as hub:
        connection = http.client.HTTPConnection(hub.url.removeprefix("http://"), timeout=10)
        connection.request("GET", f"/{LARGE}/resolve/main/pytorch_model.bin")
        assert connection.getresponse().read(10)
    assert set(threading.enumerate()) == before
    connection.close()
