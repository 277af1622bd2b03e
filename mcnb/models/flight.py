"""Work that many may ask for at once and that is done once.

Every waiter sees its progress. It is stopped when the last waiter has left.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, InvalidStateError
from typing import Generic, TypeVar

from mcnb.errors import InternalError, McnbError, RunCancelledError
from mcnb.models.control import Control
from mcnb.models.progress import Progress, Report, no_report

T = TypeVar("T")

_log = logging.getLogger(__name__)

Work = Callable[[Control, Report], T]


class Waiter(Generic[T]):
    """One caller's part in a flight; ``future`` gets the result."""

    def __init__(self, flight: Flight[T], report: Report) -> None:
        self._flight = flight
        self._report = report
        self.future: Future[T] = Future()

    def tell(self, progress: Progress) -> None:
        """Report progress; one caller's fault must not end the work of the others."""
        try:
            self._report(progress)
        except Exception:
            _log.exception("progress could not be reported")
            self._report = no_report

    def leave(self) -> None:
        """Stop waiting; the last one to leave waits until the work has stopped."""
        self._flight.leave(self)


class Flight(Generic[T]):
    """One piece of work under way, in a thread of its own."""

    def __init__(self, name: str, work: Work[T], done: Callable[[], None]) -> None:
        self._work = work
        self._done = done
        self._control = Control()
        self._lock = threading.Lock()
        self._waiters: list[Waiter[T]] = []
        self._last: Progress | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self, report: Report) -> Waiter[T]:
        """Begin the work, for its first waiter."""
        waiter = Waiter(self, report)
        self._waiters.append(waiter)
        self._thread.start()
        return waiter

    def join(self, report: Report) -> Waiter[T] | None:
        """Add a waiter, who is told at once how far the work is; None when everybody has left and it is stopping."""
        waiter = Waiter(self, report)
        with self._lock:
            if self._control.stopped:
                return None
            self._waiters.append(waiter)
            last = self._last
        if last is not None:
            waiter.tell(last)
        return waiter

    def leave(self, waiter: Waiter[T]) -> None:
        """Take a waiter out."""
        with self._lock:
            if waiter not in self._waiters:
                return
            if len(self._waiters) == 1:
                self._control.cancel()
                return
            self._waiters.remove(waiter)
        with contextlib.suppress(InvalidStateError):
            waiter.future.set_exception(RunCancelledError("the run was cancelled"))

    def _report(self, progress: Progress) -> None:
        with self._lock:
            self._last = progress
            waiters = list(self._waiters)
        for waiter in waiters:
            waiter.tell(progress)

    def _run(self) -> None:
        result: T | None = None
        failure: McnbError | None = None
        try:
            result = self._work(self._control, self._report)
        except McnbError as error:
            failure = error
        except BaseException as error:  # whatever it is, every waiter must hear of it
            failure = InternalError(f"loading failed ({type(error).__name__}: {error})")
            failure.__cause__ = error
        self._done()
        with self._lock:
            waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            with contextlib.suppress(InvalidStateError):
                if failure is None:
                    waiter.future.set_result(result)  # type: ignore[arg-type]
                else:
                    waiter.future.set_exception(failure)


class Flights(Generic[T]):
    """Flights by key: at most one for each."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._under_way: dict[Hashable, Flight[T]] = {}

    def join(self, key: Hashable, work: Work[T], report: Report) -> Waiter[T]:
        """Wait for the work of a key, starting it when nobody has."""
        with self._lock:
            flight = self._under_way.get(key)
            waiter = flight.join(report) if flight is not None else None
            if waiter is not None:
                return waiter
            started: Flight[T] = Flight(self._name, work, lambda: self._landed(key, started))
            self._under_way[key] = started
            return started.start(report)

    def _landed(self, key: Hashable, flight: Flight[T]) -> None:
        with self._lock:
            if self._under_way.get(key) is flight:
                del self._under_way[key]
