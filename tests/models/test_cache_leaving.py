"""When a model leaves memory: leases, idle times, room for others."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import (
    OutOfMemoryError,
)
from mcnb.models import cache as cache_module
from mcnb.models.cache import ModelCache
from mcnb.models.control import Control

from .caching import PATIENCE, landed, lease, own_threads, ready
from .calls import PROMPT, parameters, spec
from .conftest import Folders


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


@pytest.mark.parametrize("name", ["codegen", "gpt_neo", "t5"])
def test_nothing_of_a_model_stays_behind(cache: ModelCache, folders: Folders, name: str) -> None:
    """CodeGen's and GPT-Neo's attention points back at itself: reference counting alone does not free it."""
    held = lease(cache, spec(folders(name), precision="bfloat16", allow_pickle=True))
    owner = held.owner
    said = owner.submit(PROMPT, parameters(owner.loaded), control=Control(), on_text=lambda *_: None)
    said.future.result(PATIENCE)
    landed()
    parts = [weakref.ref(module) for module in owner.loaded.model.modules()]
    del owner, said
    held.release()
    assert cache.unload() == 1
    assert [trace for trace in parts if trace() is not None] == []


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
