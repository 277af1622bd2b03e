"""Cancelling: from any state, acknowledged when computing has stopped, and harmless to the next run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

import mcnb.models.drivers.huggingface
from mcnb.errors import RunCancelledError
from mcnb.runtime import Compose, Run
from tests.support.runs import FIRST_LINE, Gate, Models, ends_well, is_part_of_the_text, states_of, tokens_of
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60


def test_cancel_while_pending(compose: Make, models: Models, gate: Gate) -> None:
    loaded = compose(models.poet)
    ends_well(loaded)
    loop = loaded.runtime._loop.loop
    assert loop is not None
    loop.call_soon_threadsafe(gate.stop_here)
    assert gate.reached.wait(PATIENCE)
    run = loaded.submit(prompt=FIRST_LINE)
    assert run.state == "pending"
    run.cancel()
    assert run.state == "cancelling"
    gate.open()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "cancelling", "cancelled"]
    assert run.record.generations == []
    ends_well(loaded)


def test_cancel_while_queued(compose: Make, models: Models, gate: Gate) -> None:
    loaded = compose(models.endless)
    first = loaded.submit(prompt=FIRST_LINE)
    gate.at_token(first, 3)
    assert gate.reached.wait(PATIENCE)
    second = loaded.submit(prompt=FIRST_LINE)
    while not second.record.generations:  # it has asked the model, which is busy
        second.wait_event(len(second.events_after(0)), 0.01)
    second.cancel()
    assert second.wait(PATIENCE), "a queued run is cancelled at once, whatever the model does"
    assert second.text == ""
    assert second.record.finish_reasons == ["cancelled"]
    assert not first.done
    gate.open()
    first.cancel()
    assert first.wait(PATIENCE)
    ends_well(loaded)


def test_cancel_while_loading(compose: Make, models: Models, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    load = mcnb.models.drivers.huggingface.load
    ended = threading.Event()

    def gated(*arguments: Any, control: Any, **options: Any) -> Any:
        gate.stop_here()
        try:
            return load(*arguments, control=control, **options)
        finally:
            ended.set()

    monkeypatch.setattr(mcnb.models.drivers.huggingface, "load", gated)
    loaded = compose(models.poet)
    run = loaded.submit(prompt=FIRST_LINE)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    assert not run.wait(0.05), "a run is not cancelled before its loading has stopped"
    gate.open()
    assert run.wait(PATIENCE)
    assert ended.is_set()
    assert run.state == "cancelled"
    assert loaded.runtime.cache.loads == 0
    ends_well(loaded)
    assert loaded.runtime.cache.loads == 1


def test_cancel_while_the_prompt_is_processed(compose: Make, models: Models, gate: Gate) -> None:
    loaded = compose(models.dice)
    ends_well(loaded)
    model = loaded.runtime.cache.loaded()[0].loaded.model
    passed: list[str] = []
    hooks = [
        model.transformer.h[0].register_forward_hook(lambda *_: gate.stop_here()),
        model.transformer.h[1].register_forward_hook(lambda *_: passed.append("second layer")),
    ]
    run = loaded.submit(prompt=FIRST_LINE)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    gate.open()
    assert run.wait(PATIENCE)
    assert run.state == "cancelled"
    assert not passed, "computing stops before the next layer"
    assert run.text == ""
    for hook in hooks:
        hook.remove()
    ends_well(loaded)


def test_cancel_while_decoding_keeps_the_partial_text(compose: Make, models: Models, gate: Gate) -> None:
    loaded = compose(models.endless)
    run = loaded.submit(prompt=FIRST_LINE)
    gate.at_token(run, 7)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    assert run.state == "cancelling"
    assert not run.wait(0.05), "it computes still"
    gate.open()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "processing", "cancelling", "cancelled"]
    assert tokens_of(run) == 7, "not one token more"
    assert is_part_of_the_text(run)
    assert run.output is None
    assert isinstance(run.error, RunCancelledError)
    assert run.record.state == "cancelled"
    assert run.record.finish_reasons == ["cancelled"]
    assert run.record.usage.output_tokens == 7
    with pytest.raises(RunCancelledError):
        run.result()
    ends_well(loaded)


def test_cancel_after_the_end_changes_nothing(compose: Make, models: Models) -> None:
    run = compose(models.poet).run(prompt=FIRST_LINE)
    before = run.events_after(0)
    run.cancel()
    assert run.state == "completed"
    assert run.events_after(0) == before
    assert run.error is None


def test_cancelling_twice_is_cancelling_once(compose: Make, models: Models, gate: Gate) -> None:
    run = compose(models.endless).submit(prompt=FIRST_LINE)
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    run.cancel()
    gate.open()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "processing", "cancelling", "cancelled"]


def test_a_listener_may_cancel_its_run(compose: Make, models: Models) -> None:
    run = compose(models.endless).submit(prompt=FIRST_LINE)
    run.listen(lambda: run.cancel() if tokens_of(run) >= 4 else None)
    assert run.wait(PATIENCE)
    assert run.state == "cancelled"


def test_a_listener_that_raises_does_not_hurt_the_run(
    compose: Make, models: Models, caplog: pytest.LogCaptureFixture
) -> None:
    run = compose(models.poet).submit(prompt=FIRST_LINE)
    calls: list[int] = []

    def broken() -> None:
        calls.append(1)
        raise RuntimeError("a listener's own trouble")

    run.listen(broken)
    assert run.result(PATIENCE) == POEM
    assert len(calls) == 1
    assert "a listener to a run's events failed" in caplog.text


def test_interrupting_a_blocking_run_cancels_it(compose: Make, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = compose(models.endless)
    waits: list[Run] = []
    settle = Run.settle

    def interrupted(run: Run, timeout: float | None = None) -> bool:
        waits.append(run)
        if len(waits) == 1:
            while tokens_of(run) < 3:
                run.wait_event(len(run.events_after(0)), 0.05)
            raise KeyboardInterrupt
        return settle(run, timeout)

    monkeypatch.setattr(Run, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loaded.run(prompt=FIRST_LINE)
    run = loaded.runs[-1]
    assert run.state == "cancelled"
    assert is_part_of_the_text(run)
