"""Stopping long work: one object handed down through everything that takes long."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, InvalidStateError
from typing import TypeVar

from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError

T = TypeVar("T")


class Control:
    """Says whether work may go on. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: McnbError | None = None
        self._callbacks: list[Callable[[], object]] = []
        self._asked = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop because somebody does not want it any more."""
        self._stop(RunCancelledError("the run was cancelled"))

    def expire(self, limit: float) -> None:
        """Ask the work to stop because it took longer than `limit` seconds."""
        self._stop(RunTimeoutError(f"the run took longer than its limit of {limit:g} s"))

    def _stop(self, reason: McnbError) -> None:
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            callbacks = list(self._callbacks)
        self._asked.set()
        for callback in callbacks:
            callback()

    @property
    def stopped(self) -> bool:
        """Whether the work was asked to stop."""
        return self._reason is not None

    def check(self) -> None:
        """Return when work may go on.

        Raises
        ------
        RunCancelledError, RunTimeoutError
            When it may not.
        """
        if self._reason is not None:
            raise type(self._reason)(self._reason.message)

    def wait(self, seconds: float) -> None:
        """Sleep, but no longer than the work may go on; then ``check``."""
        self._asked.wait(seconds)
        self.check()

    @contextlib.contextmanager
    def locked(self, lock: threading.Lock) -> Iterator[None]:
        """Hold a lock within the block; waiting for it ends when the work may not go on."""
        while not lock.acquire(timeout=0.05):
            self.check()
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], object]) -> Iterator[None]:
        """Within the block, call `callback` when the work is asked to stop; at once when it already was."""
        with self._lock:
            self._callbacks.append(callback)
            already = self._reason is not None
        try:
            if already:
                callback()
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)


class SharedControl(Control):
    """The control of work that several want: it may go on as long as one of them wants it.

    Parameters
    ----------
    controls : sequence of Control
        One for each.
    """

    def __init__(self, controls: Sequence[Control]) -> None:
        super().__init__()
        self._controls = tuple(controls)

    def check(self) -> None:
        """Return when somebody wants the work.

        Raises
        ------
        RunCancelledError, RunTimeoutError
            Why the first of them does not want it any more.
        """
        if all(control.stopped for control in self._controls):
            self._controls[0].check()


def abandonable(work: Callable[[], T], control: Control, name: str) -> T:
    """Do work in a thread of its own, which is left behind when the control says stop.

    For calls into libraries that block and cannot be interrupted: a silent network, another process's lock. The work
    notices the control itself as soon as it can; what it still does is of no consequence.

    Parameters
    ----------
    work : callable
        Its result or exception is passed on.
    control : Control
        Says stop.
    name : str
        The thread's.
    """
    outcome: Future[T] = Future()

    def run() -> None:
        with contextlib.suppress(InvalidStateError):  # nobody waits any more
            try:
                result = work()
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(result)

    control.check()
    threading.Thread(target=run, name=name, daemon=True).start()
    with control.calling(outcome.cancel):
        try:
            return outcome.result()
        except CancelledError:
            control.check()
            raise
