"""Work that many ask for at once is done once."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from mcnb.errors import InternalError, ModelNotFoundError, RunCancelledError
from mcnb.models.control import Control
from mcnb.models.flight import Flights
from mcnb.models.progress import Progress, Report, no_report

from .calls import Gate, Reports

STEP = Progress("load", "model", 1, 2, "weights")


class Work:
    """Counts how often it is begun; waits at a gate; may fail."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.begun = 0
        self.gate = Gate()
        self.error = error
        self.report: Report = no_report
        self.control = Control()

    def __call__(self, control: Control, report: Report) -> str:
        self.begun += 1
        self.control, self.report = control, report
        self.gate.wait()
        control.check()
        if self.error is not None:
            raise self.error
        return "done"


@pytest.fixture
def flights() -> Flights[Any]:
    return Flights("mcnb-test")


def test_many_waiters_one_piece_of_work(flights: Flights[Any]) -> None:
    work = Work()
    waiters = [flights.join("key", work, no_report) for _ in range(32)]
    work.gate.open()
    assert [waiter.future.result(60) for waiter in waiters] == ["done"] * 32
    assert work.begun == 1


def test_other_keys_are_other_work_and_so_is_the_next_time(flights: Flights[Any]) -> None:
    first, second = Work(), Work()
    waiters = [flights.join("a", first, no_report), flights.join("b", second, no_report)]
    for work in (first, second):
        work.gate.open()
    assert [waiter.future.result(60) for waiter in waiters] == ["done"] * 2
    assert flights.join("a", first, no_report).future.result(60) == "done"
    assert (first.begun, second.begun) == (2, 1)


def test_who_joins_late_hears_how_far_it_is(flights: Flights[Any]) -> None:
    work, early, late = Work(), Reports(), Reports()
    waiters = [flights.join("key", work, early)]
    work.gate.arrived()
    work.report(STEP)
    waiters.append(flights.join("key", work, late))
    assert late == [STEP]
    work.gate.open()
    for waiter in waiters:
        waiter.future.result(60)
    assert early == [STEP]


def test_a_waiter_who_leaves_leaves_the_others(flights: Flights[Any]) -> None:
    work, left = Work(), Reports()
    gone, stays = flights.join("key", work, left), flights.join("key", work, no_report)
    work.gate.arrived()
    gone.leave()
    with pytest.raises(RunCancelledError):
        gone.future.result(0)
    assert not work.control.stopped
    work.report(STEP)
    assert not left
    work.gate.open()
    assert stays.future.result(60) == "done"
    gone.leave()  # nothing is left to leave


def test_when_the_last_one_leaves_the_work_stops(flights: Flights[Any]) -> None:
    work = Work()
    waiters = [flights.join("key", work, no_report) for _ in range(3)]
    work.gate.arrived()
    for waiter in waiters:
        waiter.leave()
    assert work.control.stopped
    assert not waiters[-1].future.done()  # it learns that the work has stopped, not that it was asked to
    work.gate.open()
    with pytest.raises(RunCancelledError):
        waiters[-1].future.result(60)


def test_who_comes_while_it_stops_gets_work_of_his_own(flights: Flights[Any]) -> None:
    stopping, fresh = Work(), Work()
    gone = flights.join("key", stopping, no_report)
    stopping.gate.arrived()
    gone.leave()
    comes = flights.join("key", fresh, no_report)
    stopping.gate.open()
    with pytest.raises(RunCancelledError):
        gone.future.result(60)
    joins = flights.join("key", fresh, no_report)  # the end of the old work does not hide the new one
    fresh.gate.open()
    assert comes.future.result(60) == joins.future.result(60) == "done"
    assert fresh.begun == 1


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ModelNotFoundError("no such model"), ModelNotFoundError),
        (ValueError("a defect"), InternalError),
        (SystemExit(3), InternalError),
    ],
)
def test_an_error_reaches_everybody_and_the_next_one_tries_again(
    raised: BaseException, expected: type[Exception], flights: Flights[Any]
) -> None:
    work = Work(raised)
    waiters = [flights.join("key", work, no_report) for _ in range(5)]
    work.gate.open()
    errors = [waiter.future.exception(60) for waiter in waiters]
    assert {type(error) for error in errors} == {expected}
    if expected is InternalError:
        assert errors[0] is not None
        assert errors[0].__cause__ is raised
    work.error = None
    assert flights.join("key", work, no_report).future.result(60) == "done"


def test_a_report_that_fails_is_the_fault_of_its_waiter_alone(
    flights: Flights[Any], caplog: pytest.LogCaptureFixture
) -> None:
    work, calls, good = Work(), [], Reports()

    def bad(progress: Progress) -> None:
        calls.append(progress)
        raise ValueError("it cannot be shown")

    waiters = [flights.join("key", work, bad), flights.join("key", work, good)]
    work.gate.arrived()
    with caplog.at_level(logging.ERROR):
        work.report(STEP)
        work.report(STEP)
    work.gate.open()
    assert [waiter.future.result(60) for waiter in waiters] == ["done"] * 2
    assert calls == [STEP]
    assert good == [STEP, STEP]
    assert "progress could not be reported" in caplog.text


def test_joining_and_leaving_at_once(flights: Flights[Any]) -> None:
    """Whoever does not leave gets a result, however the others come and go."""

    def work(control: Control, report: Report) -> str:
        control.check()
        return "done"

    failures: list[object] = []

    def visit(leaves: bool) -> None:
        for _ in range(200):
            waiter = flights.join("key", work, no_report)
            if leaves:
                waiter.leave()
            outcome = waiter.future.exception(60)
            if outcome is not None and not (leaves and isinstance(outcome, RunCancelledError)):
                failures.append(outcome)

    threads = [threading.Thread(target=visit, args=(number % 2 == 0,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
