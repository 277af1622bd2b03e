"""LiveRun: a run, for those who wait for it or follow it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from mcnb.server.store import TERMINAL, RunStore, StoredRun

PAGE = 1000
"""Events that are read from the store at a time."""


class LiveRun:
    """A run that the keeper knows. What it shows is in the store already.

    While the run is under way its events are kept in memory, for any number of readers; of a finished run they are
    read from the store.

    Parameters
    ----------
    store : RunStore
        Where it is.
    row : StoredRun
        As it stands there.
    events : sequence of dict
        Its last ones, where they are known: they need not be read then.

    Attributes
    ----------
    id : str
        Of the run.
    row : StoredRun
        As it stands in the store.
    """

    def __init__(self, store: RunStore, row: StoredRun, events: Sequence[dict[str, Any]] = ()) -> None:
        self.id = row.id
        self.row = row
        self._store = store
        self._earlier = row.events - len(events)  # events up to this number are in the store alone
        self._events = list(events)
        self._closed = self.done
        self._changed = asyncio.Event()

    @property
    def state(self) -> str:
        """As the store has it."""
        return self.row.state

    @property
    def done(self) -> bool:
        """Whether the state is terminal."""
        return self.row.state in TERMINAL

    async def wait(self, *, or_interrupted: bool = False) -> StoredRun:
        """Wait for the terminal state.

        Parameters
        ----------
        or_interrupted : bool
            Whether to return also when the run waits for a person.

        Returns
        -------
        StoredRun
            When the server stops before the run was started, as it waits there for the next server.
        """
        await self.until(lambda row: or_interrupted and row.state == "interrupted")
        return self.row

    async def until(self, holds: Callable[[StoredRun], bool]) -> None:
        """Wait until something holds of the row, or nothing changes any more."""
        while not (self._closed or holds(self.row)):
            await self._changed.wait()

    async def events(self, after: int = 0) -> AsyncIterator[list[dict[str, Any]]]:
        """Yield the run's events after a number: those there are, then new ones, to the terminal one.

        Yields
        ------
        list of dict
            One or more events, in order.
        """
        after = max(0, after)
        while True:
            changed, closed = self._changed, self._closed
            if after < self._earlier:
                batch = await self._store.events(self.id, after, min(PAGE, self._earlier - after))
            else:
                batch = self._events[after - self._earlier :]
            if batch:
                after = batch[-1]["id"]
                yield batch
            elif closed:
                return
            else:
                await changed.wait()

    # --- what the keeper uses ---------------------------------------------------------------------------------------

    def show(self, row: StoredRun, events: Sequence[dict[str, Any]]) -> None:
        """Tell those who wait what was stored."""
        self._events += events
        self._tell(row)

    def overtaken(self, row: StoredRun) -> None:
        """Tell those who wait that somebody else has finished the run: all its events are in the store alone."""
        self._events, self._earlier = [], row.events
        self._tell(row)

    def close(self) -> None:
        """Tell those who wait that no more comes from this server."""
        self._closed = True
        self._tell(self.row)

    def _tell(self, row: StoredRun) -> None:
        self.row = row
        self._closed = self._closed or self.done
        self._changed.set()
        self._changed = asyncio.Event()
