"""One copy of a model for everybody."""

from __future__ import annotations

import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import ModelDamagedError, ModelNotFoundError, OutOfMemoryError, RunCancelledError
from mcnb.models import cache as cache_module
from mcnb.models import loading
from mcnb.models.cache import Lease, ModelCache, ModelSpec, shared_cache
from mcnb.models.control import Control
from mcnb.models.loaded import LoadedModel
from mcnb.models.progress import Progress, no_report
from tests.support import tiny_models
from tests.support.hub import StandInHub

from .calls import Gate, Reports, from_hub, spec
from .conftest import Folders


def lease(cache: ModelCache, what: ModelSpec) -> Lease:
    found = cache.lease(cache.acquire(what, no_report).future.result(60))
    assert found is not None
    return found


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Gate:
    """Loading waits at a gate."""
    gate, real = Gate(), cache_module.load

    def load(*arguments: Any, control: Control, **options: Any) -> LoadedModel:
        gate.wait()
        control.check()
        return real(*arguments, control=control, **options)

    monkeypatch.setattr(cache_module, "load", load)
    return gate


class FreeMemory:
    """Says how much is free: what it was told, less what is loaded."""

    def __init__(self, cache: ModelCache, total: float) -> None:
        self.cache, self.total = cache, total

    def __call__(self, device: str = "cpu") -> int:
        return int(self.total - sum(owner.loaded.memory for owner in self.cache.loaded()))


def test_thirty_two_cold_calls_load_once(cache: ModelCache, folders: Folders) -> None:
    start, what = threading.Barrier(32), spec(folders("gpt_neo"))

    def use() -> Lease:
        start.wait()
        return lease(cache, what)

    with ThreadPoolExecutor(32) as pool:
        leases = [future.result() for future in [pool.submit(use) for _ in range(32)]]
    assert cache.loads == 1
    assert len({id(one.owner) for one in leases}) == 1
    assert not all(one.hit for one in leases)
    for one in leases:
        one.release()


def test_a_second_time_it_is_there(cache: ModelCache, folders: Folders) -> None:
    first = lease(cache, spec(folders("gpt_neo")))
    reports = Reports()
    ready = cache.acquire(spec(folders("gpt_neo")), reports).future.result(60)
    second = cache.lease(ready)
    assert second is not None
    assert (first.hit, second.hit, cache.loads) == (False, True, 1)
    assert not reports
    first.release()
    second.release()


def test_other_names_for_the_same_files_are_one_model(cache: ModelCache, endpoint: StandInHub, tmp_path: Path) -> None:
    by_name = ModelSpec(from_hub("EleutherAI/gpt-neo-1.3B"), tmp_path)
    commit = endpoint.commit("EleutherAI/gpt-neo-1.3B")
    by_commit = ModelSpec(from_hub("EleutherAI/gpt-neo-1.3B", revision=commit), tmp_path / "elsewhere")
    first = lease(cache, by_name)
    by_path = spec(first.owner.loaded.snapshot.folder, allow_pickle=True)
    leases = [first, lease(cache, by_commit), lease(cache, by_path), lease(cache, ModelSpec(by_name.source, tmp_path))]
    assert cache.loads == 1
    assert len({id(one.owner) for one in leases}) == 1
    for one in leases:
        one.release()


def test_another_dtype_is_another_copy(cache: ModelCache, folders: Folders) -> None:
    leases = [lease(cache, spec(folders("gpt_neo"), precision=dtype)) for dtype in ("float32", "bfloat16", "float32")]
    assert cache.loads == 2
    assert [one.owner.loaded.placement.dtype for one in leases] == ["float32", "bfloat16", "float32"]
    for one in leases:
        one.release()


def test_edited_files_are_another_model(cache: ModelCache, tmp_path: Path) -> None:
    folder = tiny_models.gpt_neo(tmp_path / "neo")
    old = lease(cache, spec(folder))
    shutil.rmtree(folder)
    tiny_models.gpt_neo(folder, seed=8)
    new = lease(cache, spec(folder))
    assert cache.loads == 2
    assert new.owner is not old.owner
    for one in (old, new):
        one.release()


def test_a_waiter_who_leaves_does_not_stop_the_load(cache: ModelCache, folders: Folders, slow: Gate) -> None:
    gone, stays = (cache.acquire(spec(folders("gpt_neo")), no_report) for _ in range(2))
    slow.arrived()
    gone.leave()
    slow.open()
    assert stays.future.result(60)
    with pytest.raises(RunCancelledError):
        gone.future.result(60)
    assert cache.loads == 1


def test_the_last_waiter_who_leaves_stops_the_load(cache: ModelCache, folders: Folders, slow: Gate) -> None:
    waiter = cache.acquire(spec(folders("gpt_neo")), no_report)
    slow.arrived()
    waiter.leave()
    slow.open()
    with pytest.raises(RunCancelledError):
        waiter.future.result(60)
    assert (cache.loads, cache.loaded()) == (0, [])
    lease(cache, spec(folders("gpt_neo"))).release()
    assert cache.loads == 1


@pytest.mark.parametrize("name", ["smollm3", "codegen", "blenderbot"])
def test_a_load_stops_between_two_weights(
    name: str, cache: ModelCache, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "Throttled", lambda report: report)
    told: list[Progress] = []
    started = threading.Event()

    def report(progress: Progress) -> None:
        started.wait(60)
        told.append(progress)
        if progress.total:
            waiter.leave()

    waiter = cache.acquire(spec(folders(name), allow_pickle=True), report)
    started.set()
    with pytest.raises(RunCancelledError):
        waiter.future.result(60)
    assert (told[-1].done, len(told)) == (0, 2)
    assert cache.loads == 0


def test_while_one_loads_another_can_be_cancelled_and_a_third_used(
    cache: ModelCache, folders: Folders, slow: Gate
) -> None:
    slow.open()
    third = lease(cache, spec(folders("llama")))
    slow.opened.clear()
    slow.reached.clear()
    loading = cache.acquire(spec(folders("gpt_neo")), no_report)
    slow.arrived()
    waiting = cache.acquire(spec(folders("smollm3")), no_report)
    waiting.leave()
    with pytest.raises(RunCancelledError):
        waiting.future.result(60)
    again = lease(cache, spec(folders("llama")))  # it does not wait for the load of another
    assert again.owner is third.owner
    slow.open()
    assert loading.future.result(60)
    for one in (third, again):
        one.release()


def test_an_error_reaches_everybody_and_the_next_one_tries_again(
    cache: ModelCache, folders: Folders, tmp_path: Path
) -> None:
    folder = tmp_path / "later"
    errors = [cache.acquire(spec(folder), no_report).future.exception(60) for _ in range(3)]
    assert {type(error) for error in errors} == {ModelNotFoundError}
    shutil.copytree(folders("gpt_neo"), folder)
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelDamagedError):
        cache.acquire(spec(folder), no_report).future.result(60)
    shutil.copy(folders("gpt_neo") / "model.safetensors", folder)
    lease(cache, spec(folder)).release()
    assert cache.loads == 1


def test_an_idle_model_leaves_memory(cache: ModelCache, folders: Folders) -> None:
    one = lease(cache, spec(folders("gpt_neo")))
    ready = cache.acquire(spec(folders("gpt_neo")), no_report).future.result(60)
    one.release(idle_timeout=0)
    one.release(idle_timeout=0)  # giving back twice is once
    while cache.loaded():
        threading.Event().wait(0.01)
    assert cache.lease(ready) is None
    assert one.owner.loaded.model is None


def test_a_model_that_is_used_again_stays(cache: ModelCache, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    timers: list[threading.Timer] = []

    class Timer(threading.Timer):
        def start(self) -> None:  # the test decides when the time is up
            timers.append(self)

    monkeypatch.setattr(threading, "Timer", Timer)
    first = lease(cache, spec(folders("gpt_neo")))
    first.release(idle_timeout=60)
    second = lease(cache, spec(folders("gpt_neo")))
    timers[0].function()  # too late: it is in use
    assert cache.loaded()
    second.release(idle_timeout=60)
    timers[0].function()  # of the first time, not of this one
    assert cache.loaded()
    timers[1].function()
    assert not cache.loaded()
    lease(cache, spec(folders("gpt_neo"))).release()
    timers[1].function()  # of a copy that is gone
    assert cache.loaded()


def test_the_last_user_starts_the_time(cache: ModelCache, folders: Folders) -> None:
    first, second = lease(cache, spec(folders("gpt_neo"))), lease(cache, spec(folders("gpt_neo")))
    first.release(idle_timeout=0)
    assert cache.unload() == 0  # in use
    second.release()  # it keeps the model
    assert cache.unload() == 1


def test_models_are_unloaded_by_name(cache: ModelCache, folders: Folders) -> None:
    for name in ("gpt_neo", "llama"):
        lease(cache, spec(folders(name))).release()
    names = [owner.loaded.snapshot.name for owner in cache.loaded()]
    assert cache.unload("nothing") == 0
    assert cache.unload(names[0]) == 1
    assert [owner.loaded.snapshot.name for owner in cache.loaded()] == names[1:]


def test_when_memory_is_short_the_one_used_longest_ago_leaves(
    cache: ModelCache, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    leases = [lease(cache, spec(folders(name))) for name in ("gpt_neo", "llama", "codegen") if name != "codegen"]
    for one in reversed(leases):
        one.release()  # llama before gpt_neo
    monkeypatch.setattr(cache_module, "free_memory", FreeMemory(cache, sum(o.loaded.memory for o in cache.loaded())))
    third = lease(cache, spec(folders("t5")))
    left = [owner.loaded.snapshot.folder.name for owner in cache.loaded()]
    assert "llama" not in left
    assert "t5" in left
    third.release()


def test_what_does_not_fit_is_refused(cache: ModelCache, folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    used, idle = lease(cache, spec(folders("gpt_neo"))), lease(cache, spec(folders("llama")))
    idle.release()
    monkeypatch.setattr(cache_module, "free_memory", lambda device: 1000)
    with pytest.raises(
        OutOfMemoryError, match=r"t5 needs 0\.0 GB in float32 and cpu has 0\.0 GB free.*models estimate"
    ):
        lease(cache, spec(folders("t5")))
    assert [owner.loaded.snapshot.folder.name for owner in cache.loaded()] == ["gpt_neo"]  # what is in use stays
    used.release()


def test_the_process_has_one_cache() -> None:
    assert shared_cache() is shared_cache()
