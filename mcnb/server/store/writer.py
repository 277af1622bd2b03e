"""The one thread that writes. What waits together is written together: one transaction, one wait for the disk.

Each operation is a savepoint of that transaction, so one that fails takes no other with it. While the disk is full,
patient operations (events of runs that were acknowledged) wait in order and are tried again; the others are refused.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import sqlalchemy as sa

from mcnb.errors import DiskFullError, McnbError, ServerStoppingError
from mcnb.server.store.database import writing_engine
from mcnb.server.store.failures import CannotWriteError, failure

Work: TypeAlias = Callable[[sa.Connection], Any]
Wait: TypeAlias = Callable[[threading.Condition, float], object]

RETRY = 0.5  # seconds between two tries while the disk is full
LAST_TRIES = 3  # how often a writer that is being closed still tries
TOGETHER = 500  # operations in one transaction

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Operation:
    work: Work
    patient: bool
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]


_Outcome: TypeAlias = "tuple[_Operation, Any, McnbError | None]"


def _wait(condition: threading.Condition, seconds: float) -> None:
    condition.wait(seconds)


class Writer:
    """Takes operations from event loops and carries them out, in the order in which they came.

    Parameters
    ----------
    path : Path
        The database, which ``prepare`` has seen.
    wait : callable, optional
        Called with the writer's condition and a number of seconds, to wait before the next try.
    """

    def __init__(self, path: Path, *, wait: Wait | None = None) -> None:
        self._path = path
        self._engine = writing_engine(path)
        self._connection = self._engine.connect()
        self._wait = wait or _wait
        self._changed = threading.Condition()
        self._queue: deque[_Operation] = deque()
        self._late: deque[_Operation] = deque()  # patient operations that could not be written yet
        self._obstacle: McnbError | None = None  # why
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="mcnb run store", daemon=True)
        self._thread.start()

    def put(self, work: Work, *, patient: bool = False, at_once: bool = False) -> asyncio.Future[Any]:
        """Queue an operation now; the future of the running loop gets its result once that is on the disk.

        Cancelling the future does not take the operation back.

        Parameters
        ----------
        work : callable
            Gets the connection, inside a transaction.
        patient : bool
            Wait and try again while nothing can be written.
        at_once : bool
            Refuse without a try while patient operations wait.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        with self._changed:
            if self._closing:
                future.set_exception(ServerStoppingError("the run store is closed"))
            elif at_once and (obstacle := self._obstacle) is not None:
                future.set_exception(_again(obstacle))
            else:
                self._queue.append(_Operation(work, patient, loop, future))
                self._changed.notify_all()
        return future

    def close(self) -> None:
        """Write what is queued, and end. What cannot be written even now is given up, with a line in the log."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join()
        self._connection.close()
        self._engine.dispose()

    def _run(self) -> None:
        tries = 0
        while True:
            with self._changed:
                if self._late and all(operation.patient for operation in self._queue):
                    self._wait(self._changed, RETRY)
                elif not self._closing:
                    self._changed.wait_for(lambda: self._queue or self._closing)
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), TOGETHER))]
                if self._closing and not batch and (not self._late or tries == LAST_TRIES):
                    break
                tries += self._closing and not batch
            self._write(batch)
        self._give_up()

    def _write(self, batch: list[_Operation]) -> None:
        if not self._late:
            outcomes, obstacle = self._commit(batch)
            if obstacle is None:
                _deliver(outcomes)
            elif len(batch) > 1 and isinstance(obstacle, DiskFullError):
                self._write_singly(batch)  # a large one may have taken the room of the others
            else:
                self._refuse(batch, obstacle)
            return
        # First what may make room; then what waits, in order; what came just now last.
        self._late.extend(operation for operation in batch if operation.patient)
        self._write_singly([operation for operation in batch if not operation.patient])
        while self._late:
            outcomes, obstacle = self._commit([self._late[0]])
            if obstacle is not None:
                self._obstacle = obstacle
                return
            self._late.popleft()
            if not self._late:
                self._obstacle = None
            _deliver(outcomes)
        log.info("the run database %s can be written again", self._path)

    def _write_singly(self, batch: list[_Operation]) -> None:
        for operation in batch:
            if self._late and operation.patient:
                self._late.append(operation)
                continue
            outcomes, obstacle = self._commit([operation])
            if obstacle is None:
                _deliver(outcomes)
            else:
                self._refuse([operation], obstacle)

    def _refuse(self, batch: list[_Operation], obstacle: McnbError) -> None:
        """Tell those that do not wait; keep the others."""
        patient = [operation for operation in batch if operation.patient]
        if patient:
            if not self._late:
                log.warning("%s; events wait until it can be written", obstacle)
            self._late.extend(patient)
            self._obstacle = obstacle
        _deliver([(operation, None, _again(obstacle)) for operation in batch if not operation.patient])

    def _commit(self, batch: list[_Operation]) -> tuple[list[_Outcome], McnbError | None]:
        """Carry out operations in one transaction; return what became of each, or why none could be written."""
        outcomes: list[_Outcome] = []
        try:
            with self._connection.begin():
                for operation in batch:
                    outcomes.append(self._carry_out(operation))
        except Exception as error:  # the thread serves everybody: nothing may end it
            reason = failure(error, self._path)
            if isinstance(reason, DiskFullError | CannotWriteError):
                return [], reason
            return [(operation, None, reason) for operation in batch], None
        return outcomes, None

    def _carry_out(self, operation: _Operation) -> _Outcome:
        self._connection.exec_driver_sql("SAVEPOINT operation")
        try:
            result, reason = operation.work(self._connection), None
        except Exception as error:
            result, reason = None, failure(error, self._path)
            if isinstance(reason, DiskFullError | CannotWriteError):
                raise  # SQLite may have ended the whole transaction
            self._connection.exec_driver_sql("ROLLBACK TO operation")
        self._connection.exec_driver_sql("RELEASE operation")
        return operation, result, reason

    def _give_up(self) -> None:
        if self._late and self._obstacle is not None:
            log.error("%d changes of runs could not be written and are lost: %s", len(self._late), self._obstacle)
            _deliver([(operation, None, _again(self._obstacle)) for operation in self._late])
            self._late.clear()


def _again(error: McnbError) -> McnbError:
    """Return an error for one more of those it hits: each raises its own."""
    return type(error)(error.message, hint=error.hint)


def _deliver(outcomes: list[_Outcome]) -> None:
    """Give results to their loops, in order; a loop that is closed has nobody who waits."""
    while outcomes:
        loop = outcomes[0][0].loop
        count = next((n for n, outcome in enumerate(outcomes) if outcome[0].loop is not loop), len(outcomes))
        mine, outcomes = outcomes[:count], outcomes[count:]
        try:
            loop.call_soon_threadsafe(_settle, mine)
        except RuntimeError:
            log.debug("%d results came after their event loop had closed", len(mine))


def _settle(outcomes: list[_Outcome]) -> None:
    for operation, result, error in outcomes:
        if operation.future.done():
            continue
        if error is None:
            operation.future.set_result(result)
        else:
            operation.future.set_exception(error)
