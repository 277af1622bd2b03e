"""One copy of a model for everybody: who loads it, who shares it, when it leaves."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import (
    InternalError,
    ModelDamagedError,
    ModelNotFoundError,
    OutOfMemoryError,
    RunCancelledError,
    UnsafeModelError,
)
from mcnb.models import cache as cache_module
from mcnb.models import snapshot as snapshot_module
from mcnb.models.cache import Lease, ModelCache, ModelSpec, Ready, shared_cache
from mcnb.models.control import Control
from mcnb.models.progress import no_report
from mcnb.models.snapshot import safetensors_header

from .calls import PROMPT, Gate, Reports, parameters, spec
from .conftest import Folders

PATIENCE = 60


@pytest.fixture
def llama(folders: Folders, tmp_path: Path) -> Path:
    """A folder of this test alone."""
    return Path(shutil.copytree(folders("llama"), tmp_path / "llama"))


@pytest.fixture
def neo(folders: Folders) -> Path:
    return folders("gpt_neo")


class SlowLoad:
    """Loading that stands at a gate before it begins."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.controls: list[Control] = []
        self.load = cache_module.load

    def __call__(self, snapshot: Any, placement: Any, *, control: Control, report: Any) -> Any:
        self.controls.append(control)
        self.gate.wait()
        return self.load(snapshot, placement, control=control, report=report)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowLoad]:
    made = SlowLoad()
    monkeypatch.setattr(cache_module, "load", made)
    yield made
    made.gate.open()


def ready(cache: ModelCache, wanted: ModelSpec) -> Ready:
    return cache.acquire(wanted, no_report).future.result(PATIENCE)


def lease(cache: ModelCache, wanted: ModelSpec) -> Lease:
    found = cache.lease(ready(cache, wanted))
    assert found is not None
    return found


def at_once(count: int, call: Callable[[], Any]) -> list[Any]:
    """Call from many threads at the same moment."""
    start, results = threading.Barrier(count), []

    def one() -> None:
        start.wait(PATIENCE)
        results.append(call())

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(results) == count
    return results


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mcnb-")]


def landed() -> None:
    """Wait until every thread that loads has ended."""
    for thread in threading.enumerate():
        if thread.name == "mcnb-load":
            thread.join(PATIENCE)


def test_32_cold_calls_load_once(cache: ModelCache, llama: Path) -> None:
    found = at_once(32, lambda: ready(cache, spec(llama)))
    assert cache.loads == 1
    assert len({item.key for item in found}) == 1
    assert not all(item.hit for item in found)
    assert len(cache.loaded()) == 1
    assert ready(cache, spec(llama)).hit


def test_everybody_sees_the_same_progress(cache: ModelCache, llama: Path, slow: SlowLoad) -> None:
    first, second = Reports(), Reports()
    waiters = [cache.acquire(spec(llama), report) for report in (first, second)]
    slow.gate.arrived()
    slow.gate.open()
    for waiter in waiters:
        waiter.future.result(PATIENCE)
    assert first == second == first.of("load")
    assert first[-1].done == first[-1].total > 0


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


def test_an_error_reaches_everybody_and_the_next_one_tries_again(
    cache: ModelCache, llama: Path, slow: SlowLoad, monkeypatch: pytest.MonkeyPatch
) -> None:
    works, failure = slow.load, ModelDamagedError("cut")

    def fails(*_: Any, **__: Any) -> Any:
        raise failure

    slow.load = fails
    waiters = [cache.acquire(spec(llama), no_report) for _ in range(5)]
    slow.gate.arrived()
    slow.gate.open()
    assert [waiter.future.exception(PATIENCE) for waiter in waiters] == [failure] * 5
    assert (cache.loads, cache.loaded()) == (0, [])
    slow.load = works
    assert not ready(cache, spec(llama)).hit
    assert cache.loads == 1


def test_a_defect_while_loading_is_told(cache: ModelCache, llama: Path, slow: SlowLoad) -> None:
    defect = ZeroDivisionError("a defect")

    def fails(*_: Any, **__: Any) -> Any:
        raise defect

    slow.load = fails
    slow.gate.open()
    with pytest.raises(InternalError, match="ZeroDivisionError") as caught:
        ready(cache, spec(llama))
    assert caught.value.__cause__ is defect


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


def test_one_who_leaves_leaves_the_others(cache: ModelCache, llama: Path, slow: SlowLoad) -> None:
    stays, leaves = (cache.acquire(spec(llama), no_report) for _ in range(2))
    slow.gate.arrived()
    leaves.leave()
    with pytest.raises(RunCancelledError):
        leaves.future.result(0)
    assert not slow.controls[0].stopped
    slow.gate.open()
    assert not stays.future.result(PATIENCE).hit
    assert cache.loads == 1


def test_the_last_to_leave_stops_the_loading(cache: ModelCache, llama: Path, slow: SlowLoad) -> None:
    waiters = [cache.acquire(spec(llama), no_report) for _ in range(2)]
    slow.gate.arrived()
    for waiter in waiters:
        waiter.leave()
    assert slow.controls[0].stopped
    slow.gate.open()
    with pytest.raises(RunCancelledError):
        waiters[1].future.result(PATIENCE)
    assert (cache.loads, cache.loaded()) == (0, [])
    assert not ready(cache, spec(llama)).hit
    assert cache.loads == 1


def test_a_real_loading_stops_between_two_weights(cache: ModelCache, llama: Path) -> None:
    gate = Gate()
    waiter = cache.acquire(spec(llama), lambda _: gate.wait())
    gate.arrived()
    waiter.leave()
    gate.open()
    assert isinstance(waiter.future.exception(PATIENCE), RunCancelledError)
    assert (cache.loads, cache.loaded()) == (0, [])


def test_who_waits_for_another_model_s_loading_can_leave(
    cache: ModelCache, llama: Path, neo: Path, slow: SlowLoad
) -> None:
    first = cache.acquire(spec(llama), no_report)
    slow.gate.arrived()
    second = cache.acquire(spec(neo), no_report)
    second.leave()
    with pytest.raises(RunCancelledError):
        second.future.result(PATIENCE)
    slow.gate.open()
    first.future.result(PATIENCE)
    assert cache.loads == 1


def test_a_model_in_memory_does_not_wait_for_another_one_to_load(
    cache: ModelCache, llama: Path, neo: Path, slow: SlowLoad
) -> None:
    slow.gate.open()
    ready(cache, spec(neo))
    slow.gate = Gate()
    loading = cache.acquire(spec(llama), no_report)
    slow.gate.arrived()
    assert ready(cache, spec(neo)).hit
    slow.gate.open()
    loading.future.result(PATIENCE)


def test_a_lease_keeps_a_model_in_memory(cache: ModelCache, llama: Path) -> None:
    first, second = lease(cache, spec(llama)), lease(cache, spec(llama))
    assert first.owner is second.owner
    assert (first.hit, second.hit) == (False, True)
    first.release()
    first.release()
    assert cache.unload() == 0, "the other lease counts, and a lease is given back once"
    second.release()
    assert cache.unload() == 1
    assert cache.loaded() == []


def test_what_has_left_memory_has_to_be_asked_for_again(cache: ModelCache, llama: Path) -> None:
    was = ready(cache, spec(llama))
    assert cache.unload() == 1
    assert cache.lease(was) is None
    lease(cache, spec(llama)).release()
    assert cache.loads == 2


def test_unload_by_name(cache: ModelCache, llama: Path, neo: Path) -> None:
    for path in (llama, neo):
        ready(cache, spec(path))
    assert cache.unload("another") == 0
    assert cache.unload(str(llama)) == 1
    assert [owner.loaded.snapshot.name for owner in cache.loaded()] == [str(neo)]


def test_memory_and_threads_are_given_back(cache: ModelCache, llama: Path) -> None:
    before = own_threads()
    held = lease(cache, spec(llama))
    owner = held.owner
    said = owner.submit(PROMPT, parameters(owner.loaded), control=Control(), on_text=lambda *_: None)
    said.future.result(PATIENCE)
    landed()
    assert len(own_threads()) == len(before) + 1
    held.release(idle_timeout=3600)
    assert len(own_threads()) == len(before) + 2, "the clock"
    cache.unload()
    for thread in threading.enumerate():
        if thread.name == "mcnb-idle":
            thread.join(PATIENCE)
    assert own_threads() == before
    assert owner.loaded.model is None
    assert owner.loaded.tokenizer is None


class Clock:
    """Timers that run down when told to."""

    def __init__(self) -> None:
        self.timers: list[Any] = []
        clock = self

        class Timer:
            def __init__(self, interval: float, function: Callable[[], None]) -> None:
                self.interval, self.ring, self.cancelled = interval, function, False

            def start(self) -> None:
                clock.timers.append(self)

            def cancel(self) -> None:
                self.cancelled = True

        self.Timer = Timer


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(threading, "Timer", made.Timer)
    return made


def test_an_idle_model_leaves_when_its_time_is_over(cache: ModelCache, llama: Path, clock: Clock) -> None:
    lease(cache, spec(llama)).release(idle_timeout=90)
    (timer,) = clock.timers
    assert (timer.interval, timer.daemon, timer.name) == (90, True, "mcnb-idle")
    timer.ring()
    assert cache.loaded() == []
    timer.ring()
    assert not ready(cache, spec(llama)).hit


def test_only_the_last_user_s_clock_runs(cache: ModelCache, llama: Path, clock: Clock) -> None:
    first, second = lease(cache, spec(llama)), lease(cache, spec(llama))
    first.release(idle_timeout=5)
    assert clock.timers == []
    second.release(idle_timeout=7)
    assert [timer.interval for timer in clock.timers] == [7]


def test_use_stops_the_clock_even_when_it_is_just_running_down(cache: ModelCache, llama: Path, clock: Clock) -> None:
    lease(cache, spec(llama)).release(idle_timeout=5)
    held = lease(cache, spec(llama))
    (timer,) = clock.timers
    assert timer.cancelled
    timer.ring()  # it was too late to stop it
    assert cache.loaded() == [held.owner]
    held.release()
    timer.ring()
    assert cache.loaded() == [held.owner]


def test_an_old_clock_does_not_end_another_copy(cache: ModelCache, llama: Path, clock: Clock) -> None:
    lease(cache, spec(llama)).release(idle_timeout=5)
    cache.unload()
    (timer,) = clock.timers
    assert timer.cancelled
    lease(cache, spec(llama)).release(idle_timeout=5)
    timer.ring()
    assert len(cache.loaded()) == 1


def test_releasing_what_was_unloaded_meanwhile_changes_nothing(cache: ModelCache, llama: Path, clock: Clock) -> None:
    held = lease(cache, spec(llama))
    held.release()
    cache.unload()
    held.release(idle_timeout=1)
    assert clock.timers == []


class Memory:
    """A machine whose memory holds a number of models."""

    def __init__(self, cache: ModelCache, room: int) -> None:
        self.cache, self.room = cache, room

    def __call__(self, device: str) -> int:
        assert device == "cpu"
        return 10**9 if len(self.cache.loaded()) < self.room else 0


def test_the_model_longest_idle_makes_room(
    cache: ModelCache, llama: Path, neo: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "free_memory", Memory(cache, 2))
    for path in (llama, neo, llama):
        lease(cache, spec(path)).release()
    lease(cache, spec(folders("t5"))).release()
    assert {owner.loaded.snapshot.name for owner in cache.loaded()} == {str(llama), str(folders("t5"))}
    assert ready(cache, spec(llama)).hit


def test_models_in_use_do_not_make_room(
    cache: ModelCache, llama: Path, neo: Path, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "free_memory", Memory(cache, 2))
    held = lease(cache, spec(llama))
    lease(cache, spec(neo)).release()
    other = lease(cache, spec(folders("t5")))
    assert {owner.loaded.snapshot.name for owner in cache.loaded()} == {str(llama), str(folders("t5"))}
    with pytest.raises(OutOfMemoryError):
        ready(cache, spec(neo))
    held.release()
    other.release()
    ready(cache, spec(neo))


def test_what_does_not_fit_is_refused_with_both_figures(
    cache: ModelCache, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Huge(snapshot_module.Snapshot):
        @property
        def size(self) -> int:
            return 10_000_000_000

    monkeypatch.setattr(cache_module, "free_memory", lambda _: 3_210_000_000)
    monkeypatch.setattr(cache_module, "fetch", lambda *_, **__: Huge("a/model", "local", llama))
    with pytest.raises(OutOfMemoryError) as caught:
        ready(cache, spec(llama))
    assert caught.value.message == "a/model needs 11.0 GB in float32 and cpu has 3.2 GB free"
    assert "mcnb models estimate" in str(caught.value.hint)
    with pytest.raises(OutOfMemoryError, match=r"needs 5\.5 GB in bfloat16"):
        ready(cache, spec(llama, precision="bfloat16"))
    assert cache.loads == 0


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
