"""One copy of a model for everybody: what is the same model, and who loads it."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import (
    ModelDamagedError,
    ModelNotFoundError,
    UnsafeModelError,
)
from mcnb.models import snapshot as snapshot_module
from mcnb.models.cache import ModelCache, shared_cache
from mcnb.models.progress import no_report
from mcnb.models.snapshot import safetensors_header

from .caching import PATIENCE, at_once, lease, ready
from .calls import spec
from .conftest import Folders


def test_32_cold_calls_load_once(cache: ModelCache, llama: Path) -> None:
    found = at_once(32, lambda: ready(cache, spec(llama)))
    assert cache.loads == 1
    assert len({item.key for item in found}) == 1
    assert not all(item.hit for item in found)
    assert len(cache.loaded()) == 1
    assert ready(cache, spec(llama)).hit


def test_ways_to_say_the_same_files_are_one_copy(cache: ModelCache, llama: Path, tmp_path: Path) -> None:
    link = llama.with_name("link")
    link.symlink_to(llama)
    relative = replace(spec(Path("..") / "llama"), folder=tmp_path / "link")
    ways = [spec(llama), spec(link), relative, spec(llama, device="cpu"), spec(llama, precision="auto")]
    waiters = [cache.acquire(way, no_report) for way in ways]
    keys = {waiter.future.result(PATIENCE).key for waiter in waiters}
    assert len(keys) == 1
    assert cache.loads == 1


def test_another_dtype_is_another_copy(cache: ModelCache, llama: Path) -> None:
    for dtype in ("float32", "bfloat16", "float32"):
        held = lease(cache, spec(llama, precision=dtype))
        assert str(held.owner.loaded.model.dtype) == f"torch.{dtype}"
        held.release()
    assert cache.loads == 2
    assert len(cache.loaded()) == 2


def test_changed_files_are_another_model(cache: ModelCache, llama: Path) -> None:
    old = lease(cache, spec(llama))
    path = llama / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mine": 1}))
    new = lease(cache, spec(llama))
    assert (old.hit, new.hit, cache.loads) == (False, False, 2)
    assert new.owner is not old.owner
    weights = llama / "model.safetensors"
    os.utime(weights, ns=(0, weights.stat().st_mtime_ns + 1))
    newest = lease(cache, spec(llama))
    assert cache.loads == 3
    for held in (old, new, newest):
        held.release()


def test_how_it_is_used_is_no_part_of_what_it_is(cache: ModelCache, llama: Path) -> None:
    assert not ready(cache, spec(llama)).hit
    assert ready(cache, spec(llama, allow_pickle=True)).hit


def test_a_model_in_memory_does_not_excuse_pickled_weights(cache: ModelCache, folders: Folders) -> None:
    ready(cache, spec(folders("codegen"), allow_pickle=True))
    with pytest.raises(UnsafeModelError):
        ready(cache, spec(folders("codegen")))


def test_a_missing_model_is_found_once_it_is_there(cache: ModelCache, llama: Path, tmp_path: Path) -> None:
    wanted = spec(tmp_path / "later")
    with pytest.raises(ModelNotFoundError):
        ready(cache, wanted)
    shutil.copytree(llama, tmp_path / "later")
    assert not ready(cache, wanted).hit


def test_a_damaged_model_is_looked_at_again(cache: ModelCache, llama: Path) -> None:
    whole = (llama / "tokenizer.json").read_text()
    (llama / "tokenizer.json").write_text(whole[:-100])
    for _ in range(2):
        with pytest.raises(ModelDamagedError, match=r"tokenizer\.json"):
            ready(cache, spec(llama))
    (llama / "tokenizer.json").write_text(whole)
    assert not ready(cache, spec(llama)).hit
    (llama / "tokenizer.json").write_text(whole[:-100])
    with pytest.raises(ModelDamagedError, match=r"tokenizer\.json"):
        ready(cache, spec(llama))


def test_files_are_checked_once_for_each_of_their_states(
    cache: ModelCache, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def header(path: Path, name: str) -> Any:
        read.append(path.name)
        return safetensors_header(path, name)

    def json_file(path: Path, name: str) -> Any:
        read.append(path.name)
        return read_json(path, name)

    read_json = snapshot_module.read_json
    monkeypatch.setattr(snapshot_module, "safetensors_header", header)
    monkeypatch.setattr(snapshot_module, "read_json", json_file)
    ready(cache, spec(llama))
    assert {"model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= set(read)
    for _ in range(10):
        read.clear()
        assert ready(cache, spec(llama)).hit
        assert set(read) <= {"config.json"}
    path = llama / "tokenizer_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"mine": 1}))
    assert not ready(cache, spec(llama)).hit
    assert {"model.safetensors", "tokenizer.json"} <= set(read)


def test_the_cache_of_the_process_is_one() -> None:
    assert len({id(found) for found in at_once(8, shared_cache)}) == 1


def test_acquire_lease_and_unload_at_once_from_many_threads(cache: ModelCache, llama: Path, neo: Path) -> None:
    paths = [llama, neo]

    def use() -> str:
        for number in range(4):
            path = paths[number % 2]
            held = None
            while held is None:
                held = cache.lease(ready(cache, spec(path)))
            assert held.owner.loaded.model is not None
            cache.unload()
            assert held.owner.loaded.model is not None, "a leased model stays"
            held.release()
        return "done"

    assert at_once(6, use) == ["done"] * 6
    cache.unload()
    assert cache.loaded() == []
