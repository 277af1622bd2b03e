"""What does not fit into memory is refused: before its weights are fetched, and with all figures."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from mcnb.errors import OutOfMemoryError
from mcnb.models import cache as cache_module
from mcnb.models import memory as memory_module
from mcnb.models import room as room_module
from mcnb.models.cache import ModelCache, ModelSpec
from mcnb.models.estimate import Estimate
from mcnb.models.memory import free_memory
from mcnb.models.room import refusal
from tests.support.hub import StandInHub

from .caching import ready
from .calls import from_hub, spec
from .conftest import Folders

LARGE = {
    "hidden_size": 6656,
    "num_hidden_layers": 60,
    "intermediate_size": 17920,
    "num_attention_heads": 52,
    "num_key_value_heads": 52,
    "head_dim": 128,
    "vocab_size": 32000,
    "dtype": "bfloat16",
}
"""A Llama of 30 billion weights."""

LARGE_NAME = "someone/large"


@pytest.fixture
def large(folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A hub with a repository whose config promises more than its weights hold."""
    folder = tmp_path / "hub" / LARGE_NAME
    shutil.copytree(folders("llama"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | LARGE))
    with StandInHub(tmp_path / "hub") as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub
    huggingface_hub.close_session()  # its pool holds connections to a server that is gone


def fetched_weights(hub: StandInHub) -> list[str]:
    return [request.path for request in hub.requests if request.path.endswith((".safetensors", ".bin"))]


def wanted(repository: str) -> ModelSpec:
    return ModelSpec(from_hub(repository), Path(), precision="bfloat16")


def test_thirty_billion_weights_are_refused_before_any_download(
    cache: ModelCache, large: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room_module, "free_memory", lambda _: 12_300_000_000)
    with pytest.raises(OutOfMemoryError) as caught:
        ready(cache, wanted(LARGE_NAME))
    assert "someone/large needs 66.0 GB in bfloat16 (weights 65.1 GB, 512 tokens 0.8 GB" in caught.value.message
    assert caught.value.message.endswith("and cpu has 12.3 GB free")
    assert "close other programs, or choose a smaller model" in str(caught.value.hint)
    assert [request.path for request in large.requests if request.path.endswith("/config.json")]
    assert fetched_weights(large) == []
    assert cache.loads == 0


def test_what_would_fit_is_named(cache: ModelCache, large: StandInHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_module, "free_memory", lambda _: 50_000_000_000)
    with pytest.raises(OutOfMemoryError) as caught:
        ready(cache, wanted(LARGE_NAME))
    assert "'quantization: int8' would fit (" in str(caught.value.hint)


def test_what_fits_is_fetched(cache: ModelCache, endpoint: StandInHub) -> None:
    assert not ready(cache, ModelSpec(from_hub("HuggingFaceTB/SmolLM3-3B"), Path(), precision="float32")).hit
    assert fetched_weights(endpoint)
    endpoint.requests.clear()
    assert ready(cache, ModelSpec(from_hub("HuggingFaceTB/SmolLM3-3B"), Path(), precision="float32")).hit
    assert endpoint.requests == []


def test_models_in_memory_can_leave_until_the_weights_are_here(
    cache: ModelCache, folders: Folders, endpoint: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = ModelSpec(from_hub("HuggingFaceTB/SmolLM3-3B"), Path(), precision="float32")
    monkeypatch.setattr(room_module, "free_memory", lambda _: 0)
    with pytest.raises(OutOfMemoryError):
        ready(cache, repository)
    ready(cache, spec(folders("llama")))
    monkeypatch.setattr(cache, "_all_memory", lambda: 10**9)
    assert not ready(cache, repository).hit


def test_what_is_here_and_does_not_fit_is_refused_with_both_figures(
    cache: ModelCache, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(folders("llama"), tmp_path / "llama"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | LARGE))
    monkeypatch.setattr(cache_module, "PLENTY", 10**12)
    monkeypatch.setattr(cache_module, "free_memory", lambda _: 3_210_000_000)
    with pytest.raises(OutOfMemoryError, match=r"needs 131\.9 GB in float32 .* and cpu has 3\.2 GB free;"):
        ready(cache, spec(folder))
    with pytest.raises(OutOfMemoryError, match=r"needs 66\.0 GB in bfloat16"):
        ready(cache, spec(folder, precision="bfloat16"))
    assert cache.loads == 0


def _estimate(name: str, dtype: str, weights: int) -> Estimate:
    return Estimate(name, 3_075_000_000, 512, 1, dtype, weights, 0, 0)


@pytest.mark.parametrize(
    ("free", "said"),
    [
        (7, "'precision: bfloat16' would fit (6.2 GB)"),
        (4, "'quantization: int8' would fit (3.4 GB)"),
        (3, "'quantization: int4' would fit (2.4 GB)"),
        (2, "HuggingFaceTB/SmolLM2-360M-Instruct would fit (about 1.4 GB)"),
        (0, "close other programs, or choose a smaller model"),
    ],
)
def test_the_nearest_that_fits_is_told(free: int, said: str) -> None:
    name = "HuggingFaceTB/SmolLM3-3B"
    sizes = [("float32", 12_300_000_000), ("bfloat16", 6_150_000_000), ("int8", 3_400_000_000), ("int4", 2_400_000_000)]
    error = refusal([_estimate(name, dtype, size) for dtype, size in sizes], "cpu", free * 10**9)
    assert said in str(error.hint)
    other = refusal([_estimate("someone/else", "float32", 12_300_000_000)], "cpu", free * 10**9)
    assert "choose a smaller model" in str(other.hint)


def _group(folder: Path, files: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(f"{content}\n")


def test_limit_of_an_old_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory_module, "_OWN_GROUPS", tmp_path / "none")
    machine = free_memory()
    files = {"memory.usage_in_bytes": 700_000, "memory.stat": "cache 5\ntotal_inactive_file 100000"}
    _group(tmp_path / "memory", files | {"memory.limit_in_bytes": 1_000_000})
    assert free_memory() == 400_000
    _group(tmp_path / "memory", files | {"memory.limit_in_bytes": 9223372036854771712})
    assert free_memory() > machine / 2


def test_the_tightest_of_the_groups_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "_CGROUP", tmp_path)
    monkeypatch.setattr(memory_module, "_OWN_GROUPS", tmp_path / "own")
    (tmp_path / "own").write_text("0::/user/notebook\n")
    used = {"memory.current": 1000, "memory.stat": "inactive_file 0"}
    _group(tmp_path / "user" / "notebook", used | {"memory.max": "max"})
    _group(tmp_path / "user", used | {"memory.max": 51_000})
    assert free_memory() == 50_000
    _group(tmp_path / "user" / "notebook", used | {"memory.max": 21_000})
    assert free_memory() == 20_000
