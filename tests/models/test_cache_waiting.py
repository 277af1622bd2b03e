"""Those who wait for the same loading: progress, errors, leaving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import (
    InternalError,
    ModelDamagedError,
    RunCancelledError,
)
from mcnb.models.cache import ModelCache
from mcnb.models.progress import no_report

from .caching import PATIENCE, SlowLoad, ready
from .calls import Gate, Reports, spec


def test_everybody_sees_the_same_progress(cache: ModelCache, llama: Path, slow: SlowLoad) -> None:
    first, second = Reports(), Reports()
    waiters = [cache.acquire(spec(llama), report) for report in (first, second)]
    slow.gate.arrived()
    slow.gate.open()
    for waiter in waiters:
        waiter.future.result(PATIENCE)
    assert first == second == first.of("load")
    assert first[-1].done == first[-1].total > 0


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
