"""Stopping work."""

from __future__ import annotations

import threading
from concurrent.futures import Future, InvalidStateError

import pytest

from mcnb.errors import RunCancelledError, RunTimeoutError
from mcnb.models.control import Control, abandonable

from .calls import Gate


def test_work_may_go_on_until_it_may_not() -> None:
    control = Control()
    control.check()
    assert not control.stopped
    control.cancel()
    assert control.stopped
    with pytest.raises(RunCancelledError, match="the run was cancelled"):
        control.check()


def test_the_first_reason_stays() -> None:
    control = Control()
    control.expire(2)
    control.cancel()
    with pytest.raises(RunTimeoutError, match="limit of 2 s"):
        control.check()


def test_who_wants_to_know_is_called_once() -> None:
    control, called = Control(), []
    with control.calling(lambda: called.append("within")):
        control.cancel()
        control.cancel()
    with control.calling(lambda: called.append("later")):
        pass
    with Control().calling(lambda: called.append("never")):
        pass
    assert called == ["within", "later"]


def test_waiting_ends_when_the_work_is_stopped() -> None:
    control = Control()
    control.wait(0)
    threading.Timer(0.01, control.cancel).start()
    with pytest.raises(RunCancelledError):
        control.wait(3600)


def test_a_lock_is_waited_for_only_as_long_as_one_may() -> None:
    control, lock = Control(), threading.Lock()
    with control.locked(lock):
        assert lock.locked()
        other = Control()
        threading.Timer(0.01, other.cancel).start()
        with pytest.raises(RunCancelledError), other.locked(lock):
            pass
    assert not lock.locked()


def test_work_that_can_be_abandoned_gives_its_result_or_its_error() -> None:
    assert abandonable(lambda: threading.current_thread().name, Control(), "mcnb-test") == "mcnb-test"
    error = ValueError("it failed")
    with pytest.raises(ValueError, match="it failed") as caught:
        abandonable(lambda: (_ for _ in ()).throw(error), Control(), "mcnb-test")
    assert caught.value is error
    future: Future[int] = Future()
    future.set_result(1)
    with pytest.raises(InvalidStateError):  # even the one that is used inside
        abandonable(lambda: future.set_result(2), Control(), "mcnb-test")


def test_abandoned_work_goes_on_alone() -> None:
    control, gate, ended = Control(), Gate(), threading.Event()

    def work() -> None:
        gate.wait()
        ended.set()

    threading.Thread(target=lambda: (gate.arrived(), control.cancel())).start()
    with pytest.raises(RunCancelledError):
        abandonable(work, control, "mcnb-test")
    assert not ended.is_set()
    gate.open()
    assert ended.wait(60)


def test_stopped_work_is_not_begun() -> None:
    control = Control()
    control.cancel()
    with pytest.raises(RunCancelledError):
        abandonable(lambda: pytest.fail("it was begun"), control, "mcnb-test")
