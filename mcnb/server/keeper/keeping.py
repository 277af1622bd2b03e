"""Keeping: the runs that this server sees to, from their row to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcnb.compose import Document
from mcnb.errors import ConflictError
from mcnb.server.keeper.handing import Handing
from mcnb.server.keeper.journal import Journal
from mcnb.server.keeper.kept import KeptRun
from mcnb.server.keeper.live import LiveRun
from mcnb.server.kernels import KernelLink
from mcnb.server.store import TERMINAL, RunStore, StoredRun, first_event


class Keeping:
    """The unfinished runs, each until its end is stored; from then on the store knows all of it.

    Parameters
    ----------
    store, clock
        As the keeper's.
    handing : Handing
        Gives them to kernels.
    """

    def __init__(self, store: RunStore, handing: Handing, clock: Callable[[], float]) -> None:
        self._store = store
        self._handing = handing
        self._clock = clock
        self._runs: dict[str, KeptRun] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._runs)

    def keep(self, row: StoredRun, document: Document, link: KernelLink | None) -> LiveRun:
        """See to a run that waits: for the server's own kernel, or for an existing one."""
        live = LiveRun(self._store, row, [first_event(row)] if row.events == 1 else ())
        run = KeptRun(live, Journal(self._store, live), document, self._clock, self._over)
        self._runs[run.id] = run
        if link is None:
            self._handing.queue(run)
        else:
            self._handing.attach(run, link)
        return live

    async def find(self, run_id: str) -> LiveRun:
        """Return a run; raise ``NotFoundError`` when there is none of that id."""
        run = self._runs.get(run_id)
        return run.live if run is not None else await self.known(await self._store.get(run_id))

    async def known(self, row: StoredRun) -> LiveRun:
        """Return a run of the store as it is now; one that is not kept and not finished is for the next server."""
        if (run := self._runs.get(row.id)) is not None:
            return run.live
        if row.state not in TERMINAL:  # it may have ended since the row was read
            row = await self._store.get(row.id)
            if (run := self._runs.get(row.id)) is not None:
                return run.live
        live = LiveRun(self._store, row)
        live.close()
        return live

    async def unfinished(self, run_id: str, so: str) -> KeptRun:
        """Return a run that is under way; `so` says what its being over means for the caller.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        ConflictError
            When it is over.
        """
        live = await self.find(run_id)
        run = self._runs.get(run_id)
        if run is None or run.over:
            raise ConflictError(f"the run is {live.state if live.done else 'over'}: {so}")
        return run

    async def stop(self, grace: float, last_words: float) -> None:
        """End what runs, and let go of everything.

        Parameters
        ----------
        grace : float
            Seconds that running runs have to end by themselves; those that wait for a person need none.
        last_words : float
            Seconds to wait until the ends are stored.
        """
        for run in self._handing.waiting:
            run.forget_the_time()
            run.live.close()
        ends = [asyncio.create_task(run.live.wait(or_interrupted=True)) for run in self._handing.running]
        if ends:
            _, late = await asyncio.wait(ends, timeout=grace)
            for task in late:
                task.cancel()
        for run in self._handing.running:
            run.stop()
        if self._ending:
            await asyncio.wait(self._ending, timeout=last_words)
        for run in self._runs.values():
            run.journal.give_up()
            run.live.close()

    def _over(self, run: KeptRun) -> None:
        self._handing.over(run)
        ending = asyncio.create_task(self._forget(run))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _forget(self, run: KeptRun) -> None:
        row = await run.live.wait()
        self._runs.pop(run.id, None)
        if row.started is not None and row.finished is not None:
            self._handing.took(row.finished - row.started)
