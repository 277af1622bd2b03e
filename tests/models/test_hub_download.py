"""Downloads from the Hub: what is fetched, and how it is told."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import pytest

from mcnb.errors import (
    DiskFullError,
    ModelAccessError,
    ModelDamagedError,
    ModelDownloadError,
    ModelNotFoundError,
    UnsafeModelError,
)
from mcnb.models.control import Control
from mcnb.models.sources import hub as hub_source
from mcnb.models.sources.hub import fetch_config
from mcnb.models.sources.hub_cache import CachedRepository
from tests.support.hub import StandInHub
from tests.support.tiny_models import gguf_llama

from .calls import Reports, fetch_hub, from_hub

SMOL = "HuggingFaceTB/SmolLM3-3B"
SMALL = "microsoft/DialoGPT-small"
LARGE = "microsoft/DialoGPT-large"
NEO = "EleutherAI/gpt-neo-1.3B"


def fetched_names(hub: StandInHub) -> set[str]:
    return {request.path.rsplit("/", 1)[1] for request in hub.requests if "/resolve/" in request.path}


def sizes(folder: Path, names: set[str]) -> int:
    return sum((folder / name).stat().st_size for name in names)


def test_bytes_are_told_until_all_are_here(endpoint: StandInHub, zoo: Path) -> None:
    reports = Reports()
    snapshot = fetch_hub(SMOL, report=reports)
    assert (snapshot.name, snapshot.provider, snapshot.revision) == (SMOL, "huggingface", endpoint.commit(SMOL))
    told = reports.of("download")
    total = sizes(zoo / SMOL, fetched_names(endpoint))
    assert {(progress.total, progress.unit, progress.what) for progress in told} == {(total, "bytes", SMOL)}
    done = [progress.done for progress in told]
    assert done == sorted(set(done))
    assert done[-1] == total
    assert endpoint.bytes_sent == total


def test_every_chunk_is_told(endpoint: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 50_000)
    monkeypatch.setattr(hub_source, "Throttled", lambda report: report)
    reports = Reports()
    fetch_hub(SMOL, report=reports)
    steps = [after.done - before.done for before, after in pairwise(reports)]
    assert max(steps) <= 50_000
    assert len(steps) > 8


def test_digests_of_the_weights_are_known(endpoint: StandInHub) -> None:
    digests = dict(fetch_hub(SMOL).digests)
    assert set(digests) == {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}
    assert all(len(digest) == 64 for digest in digests.values())
    assert dict(fetch_hub(SMOL).digests) == digests  # from the cache too


@pytest.mark.parametrize("repository", [SMALL, NEO])
def test_only_one_format_of_weights_is_fetched(repository: str, endpoint: StandInHub) -> None:
    fetch_hub(repository, allow_pickle=True)
    names = fetched_names(endpoint)
    assert "model.safetensors" in names
    assert not names & {"pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "README.md", ".gitattributes"}
    assert {"config.json", "vocab.json", "merges.txt", "tokenizer_config.json"} <= names


def test_pickled_weights_are_refused_before_anything_is_fetched(endpoint: StandInHub) -> None:
    with pytest.raises(UnsafeModelError, match=r"DialoGPT-large has pickled weights only.*allow_pickle: true"):
        fetch_hub(LARGE)
    assert endpoint.bytes_sent == 0
    assert fetch_hub(LARGE, allow_pickle=True).format == "pickle"
    assert not fetched_names(endpoint) & {"tf_model.h5", "flax_model.msgpack"}


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
def test_a_cut_connection_is_survived(reset: bool, endpoint: StandInHub, zoo: Path) -> None:
    endpoint.cut_after(100_000, only="*.safetensors", reset=reset)
    reports = Reports()
    snapshot = fetch_hub(SMOL, report=reports)
    for path in snapshot.weights[1]:
        assert path.read_bytes() == (zoo / SMOL / path.name).read_bytes()
    done = [progress.done for progress in reports.of("download")]
    assert done == sorted(set(done))
    assert done[-1] == reports[-1].total


def test_a_line_that_is_always_cut_is_an_error_that_can_be_tried_again(endpoint: StandInHub) -> None:
    endpoint.cut_after(100_000, 1000, only="*.safetensors", reset=True)
    with pytest.raises(ModelDownloadError, match=r"could not be downloaded: .*run it again"):
        fetch_hub(SMOL)
    endpoint.cut_after(0, 0)
    sent = endpoint.bytes_sent
    endpoint.requests.clear()
    fetch_hub(SMOL)
    assert fetched_names(endpoint) == {f"model-0000{number}-of-00002.safetensors" for number in (1, 2)}
    assert endpoint.bytes_sent > sent


def test_a_busy_hub_is_asked_again(endpoint: StandInHub) -> None:
    endpoint.refuse_api(2)
    assert fetch_hub(SMOL)


@pytest.mark.parametrize("status", [503, 429, 500])
def test_a_hub_that_stays_busy_is_a_download_error(status: int, endpoint: StandInHub) -> None:
    endpoint.refuse_api(status=status)
    with pytest.raises(ModelDownloadError, match=f"the hub answered {status}"):
        fetch_hub(SMOL)
    assert len(endpoint.requests) == 3


def test_what_the_hub_refuses_is_not_asked_again(endpoint: StandInHub) -> None:
    endpoint.refuse_api(status=418)
    with pytest.raises(ModelDownloadError, match="the hub answered 418"):
        fetch_hub(SMOL)
    assert len(endpoint.requests) == 1


def test_no_hub_is_a_download_error(endpoint: StandInHub) -> None:
    endpoint.go_offline()
    with pytest.raises(ModelDownloadError, match=f"{endpoint.url} cannot be reached"):
        fetch_hub(SMOL)
    with pytest.raises(ModelDownloadError, match=f"{endpoint.url} cannot be reached"):
        fetch_config(from_hub(SMOL), Control())


def test_a_model_that_does_not_exist_comes_with_suggestions(endpoint: StandInHub) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        fetch_hub("HuggingFaceTB/SmolLM3-1.7B")
    assert caught.value.message == "there is no repository HuggingFaceTB/SmolLM3-1.7B on the hub"
    assert "SmolLM2-1.7B" in str(caught.value.hint)
    assert "SmolLM3-3B" in str(caught.value.hint)
    with pytest.raises(ModelNotFoundError, match="check the name"):
        fetch_hub("nobody/nothing")


def test_a_gated_model_needs_a_token(endpoint: StandInHub) -> None:
    endpoint.gate(SMOL)
    for token in (None, "hf_another"):
        with pytest.raises(ModelAccessError, match=r"asks for its terms to be accepted.*env\.HF_TOKEN"):
            fetch_hub(SMOL, token=token)
    assert fetch_hub(SMOL, token=endpoint.token)


def test_revisions(endpoint: StandInHub, zoo: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="has no revision 'v9'"):
        fetch_hub(SMOL, revision="v9")
    commit = endpoint.commit(SMOL)
    assert fetch_hub(SMOL, revision=commit).revision == commit
    endpoint.go_offline()
    assert fetch_hub(SMOL, revision=commit).revision == commit


@pytest.mark.parametrize("revision", ["../../x", "/etc/passwd", "..", "x" * 300])
def test_a_revision_is_no_path(revision: str, cache_folder: Path) -> None:
    assert CachedRepository(cache_folder, SMOL).snapshot(revision) is None


def test_patterns_choose_the_format(endpoint: StandInHub) -> None:
    snapshot = fetch_hub(SMALL, allow_pickle=True, allow_patterns=("*.bin", "*.json", "*.txt"))
    assert snapshot.format == "pickle"


def test_patterns_that_leave_no_weights(endpoint: StandInHub) -> None:
    with pytest.raises(ModelNotFoundError, match="no weights that mcnb can read"):
        fetch_hub(SMALL, allow_patterns="*.json")


def test_a_gguf_file_of_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "site" / "tiny" / "llama-gguf"
    gguf_llama(folder, name="tiny-Q8_0.gguf", quantization="Q8_0")
    shutil.copy(folder / "tiny-Q8_0.gguf", folder / "tiny-Q8_1.gguf")
    with StandInHub(tmp_path / "site") as site:
        monkeypatch.setenv("HF_ENDPOINT", site.url)
        with pytest.raises(ModelNotFoundError, match=r"choose a GGUF file with 'filename': tiny-Q8_0\.gguf"):
            fetch_hub("tiny/llama-gguf")
        with pytest.raises(ModelNotFoundError, match="means 2 files"):
            fetch_hub("tiny/llama-gguf", filename="*.gguf")
        with pytest.raises(ModelNotFoundError, match=r"no GGUF file \*Q4\*"):
            fetch_hub("tiny/llama-gguf", filename="*Q4*")
        reports = Reports()
        snapshot = fetch_hub("tiny/llama-gguf", filename="*Q8_0*", report=reports)
        assert fetched_names(site) == {"tiny-Q8_0.gguf"}
    assert {progress.stage for progress in reports} == {"download", "convert"}
    assert snapshot.format == "safetensors"
    assert dict(snapshot.digests).keys() == {"tiny-Q8_0.gguf"}
    again = Reports()
    assert fetch_hub("tiny/llama-gguf", filename="*Q8_0*", report=again) == snapshot  # offline by now
    assert not again


def test_the_config_alone(endpoint: StandInHub, zoo: Path) -> None:
    folder = fetch_config(from_hub(SMOL), Control())
    assert json.loads((folder / "config.json").read_text())["model_type"] == "smollm3"
    assert fetched_names(endpoint) == {"config.json"}
    endpoint.go_offline()
    assert fetch_config(from_hub(SMOL), Control()) == folder
    with pytest.raises(ModelDamagedError, match=r"there are no weights.*offline"):
        fetch_hub(SMOL, local_files_only=True)
    with pytest.raises(ModelNotFoundError, match="is not on this machine"):
        fetch_config(from_hub(NEO, local_files_only=True), Control())


def test_a_full_disk_is_told_before_the_download(endpoint: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=10_000))
    with pytest.raises(DiskFullError, match=r"SmolLM3-3B needs 0\.00 GB and .* has 0\.00 GB free"):
        fetch_hub(SMOL)
    assert endpoint.bytes_sent == 0


def test_a_disk_that_fills_up_meanwhile(endpoint: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "blob")

    monkeypatch.setattr("huggingface_hub.file_download._chmod_and_move", full)
    with pytest.raises(DiskFullError, match=f"the disk became full while writing blob for {SMOL}"):
        fetch_hub(SMOL)
