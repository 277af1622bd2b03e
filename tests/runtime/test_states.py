"""A run's states and events: in order, without gaps, and one terminal state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import mcnb.models.drivers.huggingface
from mcnb.errors import InvalidInputError, RunTimeoutError
from mcnb.runtime import Compose, Run, Runtime
from tests.support.runs import FIRST_LINE, Gate, Models, ends_well, is_part_of_the_text, states_of
from tests.support.texts import POEM

Make = Callable[..., Compose]

PATIENCE = 60


def test_a_run_goes_from_pending_to_completed(compose: Make, models: Models) -> None:
    run = compose(models.poet).run(prompt=FIRST_LINE)
    assert states_of(run) == ["pending", "processing", "completed"]
    assert run.done
    assert run.output == run.text == POEM
    assert run.error is None


def test_events_are_numbered_without_gaps_and_replayable_from_any(compose: Make, models: Models) -> None:
    run = compose(models.poet).submit(prompt=FIRST_LINE)
    live = list(run.events())
    assert [event.id for event in live] == list(range(1, len(live) + 1))
    assert [event.time for event in live] == sorted(event.time for event in live)
    for after in range(len(live) + 2):
        assert list(run.events(after)) == live[after:]
    assert live[0].data == {"state": "pending"}
    assert live[-1].data == {"state": "completed"}
    assert live[-2].type == "output"
    assert live[-2].data == {"output": POEM}
    assert {event.type for event in live} == {"state", "job", "load", "prompt", "token", "output"}
    assert "".join(event.data["text"] for event in live if event.type == "token") == POEM


def test_timeout_while_decoding(compose: Make, models: Models, gate: Gate) -> None:
    loaded = compose(models.endless)
    run = loaded.submit(prompt=FIRST_LINE, timeout=3600)
    gate.at_token(run, 5)
    assert gate.reached.wait(PATIENCE)
    run.control.expire(3600)  # what the timer does when the time is up
    assert not run.wait(0.05), "it computes still"
    gate.open()
    check_timeout(run)
    assert is_part_of_the_text(run)
    assert run.record.finish_reasons == ["timeout"]
    ends_well(loaded)


def test_timeout_while_loading(compose: Make, models: Models, gate: Gate, monkeypatch: pytest.MonkeyPatch) -> None:
    load = mcnb.models.drivers.huggingface.load

    def gated(*arguments: Any, control: Any, **options: Any) -> Any:
        with control.calling(gate.open):
            gate.stop_here()
        return load(*arguments, control=control, **options)

    monkeypatch.setattr(mcnb.models.drivers.huggingface, "load", gated)
    run = compose(models.poet).submit(prompt=FIRST_LINE, timeout=0.2)
    assert run.wait(PATIENCE)
    check_timeout(run)


def check_timeout(run: Run) -> None:
    assert run.wait(PATIENCE)
    assert run.state == "failed"
    assert isinstance(run.error, RunTimeoutError)
    last = run.events_after(0)[-1]
    assert last.data["state"] == "failed"
    assert last.data["error"]["code"] == "timeout"
    assert "limit" in last.data["error"]["message"]


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_a_timeout_has_to_be_positive(compose: Make, models: Models, timeout: float) -> None:
    with pytest.raises(InvalidInputError, match="timeout"):
        compose(models.poet).submit(prompt="a", timeout=timeout)


def test_the_history_is_bounded(runtime: Runtime, compose: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcnb.runtime import runtime as module

    loaded = compose("./nowhere")
    made = [loaded.submit(prompt="a") for _ in range(module.HISTORY + 3)]
    for run in made:
        assert run.wait(PATIENCE)
        assert run.error is not None
        assert run.error.code == "model_not_found"
    assert loaded.runs == tuple(made[3:])


def test_closing_a_runtime_cancels_what_runs_and_ends_its_thread(compose: Make, models: Models) -> None:
    loaded = compose(models.endless)
    run = loaded.submit(prompt=FIRST_LINE)
    thread = loaded.runtime._loop.thread
    assert thread is not None
    loaded.runtime.close()
    assert run.state == "cancelled"
    assert not thread.is_alive()
    ends_well(loaded)  # a closed one starts again when it is used
