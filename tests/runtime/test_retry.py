"""``retry``: a job that fails is tried again; every attempt is told."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mcnb.compose.schema.policies import Retry
from mcnb.errors import ModelNotFoundError, OutOfMemoryError, RunCancelledError, RunTimeoutError
from mcnb.models.engine import engine
from mcnb.models.engine.work import Work
from mcnb.runtime import Run, Runtime
from mcnb.runtime.policies import delays
from tests.support.runs import FIRST_LINE, Gate, Models, job_events
from tests.support.workflows import PATIENCE, Clock, ends, workflow


class Failing:
    """Generations with some numbers (from 1) fail."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *numbers: int) -> None:
        self.count = 0
        prepare = engine.prepare

        def failing(*arguments: Any, **options: Any) -> Any:
            self.count += 1
            if self.count in numbers:
                raise OutOfMemoryError(f"no memory for the {self.count}.")
            return prepare(*arguments, **options)

        monkeypatch.setattr(engine, "prepare", failing)


def told(run: Run) -> list[dict[str, Any]]:
    return [{key: value for key, value in event.data.items() if key != "job"} for event in job_events(run)]


@pytest.mark.parametrize(
    ("retry", "seconds"),
    [
        (Retry(), []),
        (Retry(max_attempt_count=3), [1, 1]),
        (Retry(max_attempt_count=3, delay="200ms"), [0.2, 0.2]),
        (Retry(max_attempt_count=4, delay=0.5, backoff="exponential"), [0.5, 1, 2]),
        (Retry(max_attempt_count=6, delay=1, backoff="exponential", max_delay="5s"), [1, 2, 4, 5, 5]),
        (Retry(max_attempt_count=3, delay="10s", max_delay=3), [3, 3]),
        (Retry(max_attempt_count=100, delay="300d", backoff="exponential", max_delay="1s"), [1] * 99),
        (None, []),
    ],
)
def test_how_long_it_waits(retry: Retry | None, seconds: list[float]) -> None:
    assert list(delays(retry)) == seconds


def test_the_second_attempt_succeeds(
    timed: Runtime, clock: Clock, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    Failing(monkeypatch, 1)
    job = {"id": "write", "input": {"said": "a"}, "retry": {"max_attempt_count": 3, "delay": "2s"}}
    run = workflow(timed, [job], model=models.poet).run()
    assert run.output.startswith("a")
    assert clock.slept == [2]
    assert told(run) == [
        {"state": "processing", "attempt": 1, "attempts": 3},
        {
            "state": "waiting",
            "attempt": 2,
            "attempts": 3,
            "seconds": 2,
            "error": {"code": "out_of_memory", "message": "no memory for the 1."},
        },
        {"state": "processing", "attempt": 2, "attempts": 3},
        {"state": "completed"},
    ]
    assert [item.attempt for item in run.record.generations] == [1, 2]
    assert timed.cache.unload() == 1


def test_a_further_attempt_has_the_same_seed(timed: Runtime, models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = workflow(timed, [{"id": "write", "input": {"said": "a"}, "retry": 2}], model=models.dice)
    first = loaded.run(seed=5)
    Failing(monkeypatch, 1)
    second = loaded.run(seed=5)
    assert second.output == first.output
    assert len(second.record.generations) == 2


def test_all_attempts_fail(timed: Runtime, clock: Clock) -> None:
    retry = {"max_attempt_count": 4, "delay": 1, "backoff": "exponential", "max_delay": 3}
    run = workflow(timed, [{"id": "write", "input": {"said": "a"}, "retry": retry}]).submit()
    with pytest.raises(ModelNotFoundError):
        run.result(PATIENCE)
    assert clock.slept == [1, 2, 3]
    assert [event.get("attempt") for event in told(run) if event["state"] == "processing"] == [1, 2, 3, 4]
    assert told(run)[-1] == {"state": "failed"}


@pytest.mark.parametrize("retry", [1, None])
def test_one_attempt_is_no_retry(timed: Runtime, clock: Clock, retry: Any) -> None:
    run = workflow(timed, [{"id": "write", "input": {"said": "a"}, "retry": retry}]).submit()
    assert run.wait(PATIENCE)
    assert run.state == "failed"
    assert clock.slept == []
    assert told(run) == [{"state": "processing"}, {"state": "failed"}]


def test_cancelled_while_it_waits(timed: Runtime, clock: Clock) -> None:
    clock.stands = True
    run = workflow(
        timed, [{"id": "write", "input": {"said": "a"}, "retry": {"max_attempt_count": 2, "delay": 9}}]
    ).submit()
    run.listen(lambda: run.cancel() if clock.slept else None)
    assert run.wait_event(3, PATIENCE)
    assert run.status.line() in ("waiting for 9 s before attempt 2 of 2", "stopping", "cancelled")
    run.cancel()
    with pytest.raises(RunCancelledError):
        run.result(PATIENCE)
    assert run.state == "cancelled"
    assert ends(run) == {"write": "cancelled"}


def test_the_time_limit_passes_while_it_waits(timed: Runtime, clock: Clock) -> None:
    clock.stands = True
    run = workflow(timed, [{"id": "write", "input": {"said": "a"}, "retry": 9}]).submit(timeout=0.05)
    with pytest.raises(RunTimeoutError):
        run.result(PATIENCE)
    assert len(clock.slept) == 1


def test_a_cancelled_job_is_not_tried_again(timed: Runtime, clock: Clock, models: Models, gate: Gate) -> None:
    component = {"id": "write", "input": {"said": FIRST_LINE}, "retry": 5, "component": "m"}
    run = workflow(timed, [component], model=models.poet).submit()
    reached = threading.Event()

    def listener() -> None:
        if not reached.is_set() and run.events_after(0)[-1].type == "prompt":
            reached.set()
            gate.stop_here()

    run.listen(listener)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    gate.open()
    assert run.wait(PATIENCE)
    assert run.state == "cancelled"
    assert clock.slept == []


def test_items_that_are_done_are_not_made_again(
    timed: Runtime, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing = Failing(monkeypatch, 3)
    job = {"id": "all", "type": "for-each", "input": list("abcd"), "batch_size": 1, "retry": 2}
    job["do"] = {"component": "m", "input": {"said": "${item}"}}
    run = workflow(timed, [job], model=models.poet).run()
    assert [text[0] for text in run.output] == list("abcd")
    assert failing.count == 5
    assert [(item.item, item.attempt) for item in run.record.generations] == [(0, 1), (1, 1), (2, 1), (2, 2), (3, 2)]


def test_what_streams_is_the_text_of_the_last_attempt(
    timed: Runtime, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = Work.finish
    calls: list[int] = []

    def failing_late(work: Work, error: BaseException | None = None) -> None:
        calls.append(1)
        finish(work, OutOfMemoryError("too late") if len(calls) == 1 else error)

    monkeypatch.setattr(Work, "finish", failing_late)
    run = workflow(timed, [{"id": "write", "input": {"said": "a"}, "retry": 2}], model=models.poet).submit()
    assert run.wait(PATIENCE)
    assert run.text == run.output
    assert "".join(run._pieces) == run.output
    assert not any(event.data["streamed"] for event in run.events_after(0) if event.type == "token")


def test_other_job_types_are_tried_again_too(timed: Runtime, clock: Clock) -> None:
    job = {"id": "keep", "type": "filter", "input": "${jobs.a.output}", "depends_on": ["a"], "retry": 2}
    job["where"] = {"operator": "gt", "value": [1]}
    a = {"id": "a", "type": "delay", "duration": 0, "output": [1]}
    run = workflow(timed, [a, job]).submit()
    assert run.wait(PATIENCE)
    assert run.state == "failed"
    assert clock.slept == [0, 1]
