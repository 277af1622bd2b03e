"""``RunStore``: the store as the rest of the server sees it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mcnb.errors import ServerStoppingError
from mcnb.server.store import changes, queries
from mcnb.server.store.database import prepare, reading_engine
from mcnb.server.store.failures import cannot_open, failure, unusable
from mcnb.server.store.lock import FileLock
from mcnb.server.store.rows import STATES, TERMINAL, Finish, NewRun, StoredDocument, StoredRun
from mcnb.server.store.writer import Wait, Writer

_Result = TypeVar("_Result")
_Runs: TypeAlias = list[StoredRun]  # in the class, `list` is a method


class RunStore:
    """Runs, their events and their documents, in one SQLite file.

    Writing methods queue their operation when they are called, and are carried out in that order; the future they
    return belongs to the running event loop and has its result when that is on the disk. Reading methods work in
    threads. No method blocks the event loop, but ``open`` and ``close``.

    Attributes
    ----------
    path : Path
        The file.
    id : str
        The id of the database, drawn when it was made.
    """

    def __init__(self, path: Path, lock: FileLock, store_id: str, writer: Writer, clock: Callable[[], float]) -> None:
        self.path = path
        self.id = store_id
        self._lock = lock
        self._writer = writer
        self._readers = reading_engine(path)
        self._clock = clock
        self._closed = False

    @classmethod
    def open(cls, path: Path, *, wait: Wait | None = None, clock: Callable[[], float] = time.time) -> RunStore:
        """Open the database, made or migrated where that is needed; it blocks.

        Parameters
        ----------
        path : Path
            The file. It is made with mode 0600; its folder, where that is missing, with 0700.
        wait : callable, optional
            How the writer waits while the disk is full; see ``Writer``.
        clock : callable, optional
            Seconds since 1970.

        Raises
        ------
        InvalidInputError
            The file is damaged, not a run database, of a newer version, or in use by another server.
        DiskFullError
            There is no room to make it.
        """
        path = Path(path).absolute()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(path)
        except OSError as error:
            raise cannot_open(path, error) from error
        try:
            store_id = prepare(path)
            return cls(path, lock, store_id, Writer(path, wait=wait), clock)
        except OSError as error:
            lock.release()
            raise cannot_open(path, error) from error
        except (sqlite3.Error, DBAPIError) as error:
            lock.release()
            raise unusable(error, path) from error
        except BaseException:
            lock.release()
            raise

    def close(self) -> None:
        """Write what is queued, and close the file; it blocks. What cannot be written is given up after a few tries."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._readers.dispose()
        self._lock.release()

    def accept(self, run: NewRun) -> Awaitable[tuple[StoredRun, bool]]:
        """Write a run, its document and its first event.

        Returns
        -------
        awaitable of (StoredRun, bool)
            The row, and whether it was made; False: the idempotency key was used for the same request before.

        Raises
        ------
        ConflictError
            The idempotency key was used for another request, or there is a run of that id.
        DiskFullError
            It cannot be written; at once, also while events of other runs wait for room.
        """
        return self._writer.put(partial(changes.accept, run=run), at_once=True)

    def append(
        self,
        run_id: str,
        events: Sequence[dict[str, Any]],
        *,
        state: str | None = None,
        started: float | None = None,
        finish: Finish | None = None,
    ) -> Awaitable[list[dict[str, Any]]]:
        """Write events of a run with their numbers, together with the change of its row.

        While the disk is full it waits and is tried again, in order.

        Parameters
        ----------
        run_id : str
            The run.
        events : sequence of dict
            Each with ``type`` and ``time``, without ``id``.
        state : str, optional
            The state the run is in from now on; for a terminal one give ``finish``.
        started : float, optional
            When it started.
        finish : Finish, optional
            How it ended; nothing can be appended after that.

        Returns
        -------
        awaitable of list of dict
            The events with their ids.

        Raises
        ------
        ConflictError
            The run is finished.
        NotFoundError
            There is no such run.
        """
        if state is not None and (state not in STATES or (finish is None and state in TERMINAL)):
            raise ValueError(f"not a state to go on in: {state}")
        if finish is not None and finish.state not in TERMINAL:
            raise ValueError(f"not a terminal state: {finish.state}")
        work = partial(changes.append, run_id=run_id, events=list(events), state=state, started=started, finish=finish)
        return self._writer.put(work, patient=True)

    def delete(self, run_id: str) -> Awaitable[None]:
        """Delete a finished run; ``ConflictError`` when it is not finished, ``NotFoundError`` when there is none."""
        return self._writer.put(partial(changes.delete, run_id=run_id))

    def retain(self, *, max_age: float | None, max_count: int | None) -> Awaitable[int]:
        """Delete finished runs that ended more than ``max_age`` seconds ago, and the oldest beyond ``max_count``."""
        return self._writer.put(partial(changes.retain, max_age=max_age, max_count=max_count, now=self._clock()))

    async def get(self, run_id: str) -> StoredRun:
        """Return a run; raise ``NotFoundError`` when there is none."""
        return await self._read(partial(queries.run_by_id, run_id=run_id))

    async def by_key(self, idempotency_key: str) -> StoredRun | None:
        """Return the run that was accepted with an idempotency key."""
        return await self._read(partial(queries.run_by_key, key=idempotency_key))

    async def events(self, run_id: str, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Return up to ``limit`` events of a run behind the number ``after``, in order."""
        return await self._read(partial(queries.events_after, run_id=run_id, after=after, limit=limit))

    async def list(
        self,
        *,
        states: Iterable[str] | None = None,
        workflow: str | None = None,
        session_id: str | None = None,
        created_after: float | None = None,
        created_before: float | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> _Runs:
        """Return runs, the newest first, without outputs and records.

        Parameters
        ----------
        states, workflow, session_id : optional
            Only runs of these states, this workflow, this session.
        created_after, created_before : float, optional
            Only runs accepted after, before this moment.
        before : int, optional
            Only runs whose number is smaller: the number of a page's last run gives the next page.
        limit : int
            How many at most.
        """
        return await self._read(
            partial(
                queries.newest,
                states=states,
                workflow=workflow,
                session_id=session_id,
                created_after=created_after,
                created_before=created_before,
                before=before,
                limit=limit,
            )
        )

    async def unfinished(self) -> _Runs:
        """Return the runs that are not finished, in the order of acceptance."""
        return await self._read(queries.unfinished)

    async def document_of(self, run_id: str) -> StoredDocument:
        """Return the document that a run was made from."""
        return await self._read(partial(queries.document_of_run, run_id=run_id))

    async def counts(self) -> dict[str, int]:
        """Return how many runs are in each state; states without runs are left out."""
        return await self._read(queries.counts)

    async def _read(self, query: Callable[[sa.Connection], _Result]) -> _Result:
        return await asyncio.to_thread(self._ask, query)

    def _ask(self, query: Callable[[sa.Connection], _Result]) -> _Result:
        if self._closed:
            raise ServerStoppingError("the run store is closed")
        try:
            with self._readers.connect() as connection:
                return query(connection)
        except Exception as error:
            reason = failure(error, self.path)
            if reason is error:
                raise
            raise reason from error
