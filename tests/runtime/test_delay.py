"""``delay``: time passes, and no thread waits for it."""

from __future__ import annotations

from typing import Any

import pytest

from mcnb.errors import InvalidInputError, RunTimeoutError
from mcnb.runtime import Runtime
from tests.support.runs import job_events, own_threads
from tests.support.workflows import PATIENCE, Clock, ends, workflow


def delay(runtime: Runtime, duration: Any, **more: Any) -> Any:
    return workflow(runtime, [{"id": "wait", "type": "delay", "duration": duration, **more}])


@pytest.mark.parametrize(
    ("duration", "seconds"), [("100ms", 0.1), ("5s", 5), (2, 2), (0, 0), (1.5, 1.5), ("2m", 120), ("${input.long}", 7)]
)
def test_how_long(timed: Runtime, clock: Clock, duration: Any, seconds: float) -> None:
    run = delay(timed, duration).run(input={"long": "7s"} if duration == "${input.long}" else {})
    assert run.output is None
    assert clock.slept == [seconds]
    told = [event.data for event in job_events(run)]
    assert told[1] == {"job": "wait", "state": "waiting", "seconds": seconds}
    assert ends(run) == {"wait": "completed"}


def test_its_output(timed: Runtime) -> None:
    assert delay(timed, 1, output={"said": "${input.a}"}).run(a="b").output == {"said": "b"}


@pytest.mark.parametrize("duration", ["soon", "-1s", "", "400d", [1]])
def test_what_is_no_length_of_time(timed: Runtime, clock: Clock, duration: Any) -> None:
    run = delay(timed, "${input.long}").submit(long=duration)
    with pytest.raises(InvalidInputError, match="'wait': duration"):
        run.result(PATIENCE)
    assert clock.slept == []


def test_what_comes_behind_waits(timed: Runtime, clock: Clock) -> None:
    clock.stands = True
    jobs = [
        {"id": "wait", "type": "delay", "duration": "1h"},
        {"id": "behind", "type": "delay", "duration": 0, "depends_on": ["wait"]},
    ]
    run = workflow(timed, jobs).submit()
    assert run.wait_event(3, PATIENCE)
    assert run.status.line() == "waiting for 1 h 0 min"
    run.cancel()
    assert run.wait(PATIENCE)
    assert run.state == "cancelled"
    assert clock.slept == [3600]
    assert ends(run) == {"wait": "cancelled"}


def test_no_thread_waits(runtime: Runtime) -> None:
    before = own_threads()
    runs = [delay(runtime, "1h").submit() for _ in range(20)]
    for run in runs:
        assert run.wait_event(3, PATIENCE)
    assert [thread.name for thread in own_threads() - before] == ["mcnb-runtime"]
    for run in runs:
        run.cancel()
    assert all(run.wait(PATIENCE) and run.state == "cancelled" for run in runs)


def test_the_time_limit_of_the_run_ends_it(runtime: Runtime) -> None:
    run = delay(runtime, "1h").submit(timeout=0.01)
    with pytest.raises(RunTimeoutError):
        run.result(PATIENCE)


def test_a_person_changes_how_long(timed: Runtime, clock: Clock) -> None:
    run = delay(timed, "1h", interrupt={"before": True}).submit()
    assert run.settle(PATIENCE)
    assert run.interruption is not None
    assert run.interruption.value == "1h"
    run.resume("1s")
    run.result(PATIENCE)
    assert clock.slept == [1]
