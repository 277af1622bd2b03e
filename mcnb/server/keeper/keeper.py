"""RunKeeper: takes runs, keeps them, hands them to kernels."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from mcnb.errors import ConflictError
from mcnb.runtime.interruption import KEPT
from mcnb.server.catalog import Catalog
from mcnb.server.keeper.again import again
from mcnb.server.keeper.checks import check_request
from mcnb.server.keeper.handing import Handing
from mcnb.server.keeper.intake import Intake
from mcnb.server.keeper.keeping import Keeping
from mcnb.server.keeper.live import LiveRun
from mcnb.server.keeper.recovery import Recovery
from mcnb.server.keeper.request import RunRequest, Settings
from mcnb.server.keeper.retention import retain
from mcnb.server.kernels import Kernels
from mcnb.server.store import TERMINAL, RunStore, StoredRun

LAST_WORDS = 5.0
"""Seconds to wait for what is being written."""

_Rows: TypeAlias = "list[StoredRun]"


class RunKeeper:
    """Takes runs, keeps them in the store, hands them to kernels.

    All of it happens in one event loop, which is never blocked. A run that is taken has its row; it ends exactly once.

    Parameters
    ----------
    store : RunStore
        Where rows and events are kept.
    catalog : Catalog
        The workflows there are.
    kernels : Kernels
        Where runs are computed.
    settings : Settings
        The bounds.
    clock : callable, optional
        Seconds since 1970.
    sleep : callable, optional
        Lets seconds pass between two looks for old runs.
    """

    def __init__(
        self,
        store: RunStore,
        catalog: Catalog,
        kernels: Kernels,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._catalog = catalog
        self._kernels = kernels
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._handing = Handing(kernels, settings)
        self._keeping = Keeping(store, self._handing, clock)
        self._intake = Intake(store, kernels, self._handing, self._keeping, clock)
        self._retaining: asyncio.Task[None] | None = None
        self._started = asyncio.Event()
        self._stopping = False

    @property
    def stopping(self) -> bool:
        """Whether no more runs are taken."""
        return self._stopping

    # --- the server's life ------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """End what an earlier server left under way, let what waited go on in order, and begin to hand out."""
        await asyncio.to_thread(self._catalog.refresh)
        recovery = Recovery(self._store, self._catalog, self._kernels, self._clock)
        await recovery.recover(self._keeping.keep)
        self._handing.start()
        self._retaining = asyncio.create_task(retain(self._store, self._settings, self._sleep), name="mcnb-retention")
        self._started.set()

    async def stop(self) -> None:
        """Take no more runs, give those under way a while to end, and leave those that wait to the next server."""
        self._stopping = True
        self._started.set()  # who waits for the start is told that there will be none
        if self._retaining is not None:
            self._retaining.cancel()
        await self._intake.stop(LAST_WORDS)
        await self._handing.stop()
        await self._keeping.stop(self._settings.stop_grace, LAST_WORDS)

    def ready(self) -> dict[str, Any]:
        """Return whether runs are taken, and how many wait and run."""
        problems = list(self._catalog.problems)
        if not self._catalog.entries:
            problems.append("there is no workflow to run")
        return {
            "ready": self._started.is_set() and not self._stopping and bool(self._catalog.entries),
            "queued": len(self._handing.waiting),
            "running": len(self._handing.running),
            "problems": problems,
            "kernel": self._handing.kernel,
        }

    # --- runs -------------------------------------------------------------------------------------------------------

    async def submit(self, request: RunRequest) -> tuple[LiveRun, bool]:
        """Take a run: check everything, write its row, and only then return.

        Returns
        -------
        (LiveRun, bool)
            The run, and whether this request made it; False: an earlier one of the same idempotency key did.

        Raises
        ------
        InvalidInputError, NotSupportedError, NotFoundError
            For a request that cannot be run.
        ConflictError
            When the idempotency key was used for another request.
        QueueFullError, ServerStoppingError, DiskFullError
            When it cannot be taken now.
        """
        await self._started.wait()
        return await self._intake.take(request, lambda: check_request(request, self._catalog, self._settings))

    async def find(self, run_id: str) -> LiveRun:
        """Return a run.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        """
        await self._started.wait()
        return await self._keeping.find(run_id)

    async def cancel(self, run_id: str) -> StoredRun:
        """Cancel a run: at once where it waits, otherwise as soon as its kernel has stopped; ``find`` and ``wait``.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        ConflictError
            When it is finished.
        """
        await self._started.wait()
        run = await self._keeping.unfinished(run_id, "it cannot be cancelled any more")
        run.cancel()
        await _within(LAST_WORDS, run.live.until(lambda row: row.state == "cancelling" or row.state in TERMINAL))
        return run.live.row

    async def resume(self, run_id: str, answer: Any = KEPT) -> StoredRun:
        """Let an interrupted run go on, with an answer or with the value as it is.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        ConflictError
            When it is not interrupted.
        InvalidInputError
            When the answer does not fit; the run still waits.
        KernelDiedError
            When its kernel is gone.
        """
        await self._started.wait()
        run = await self._keeping.unfinished(run_id, "it waits for no answer")
        before = run.live.row
        if run.link is None or run.cancelling or before.state != "interrupted":
            raise ConflictError(f"the run is {before.state}, not interrupted: it waits for no answer")
        await run.link.resume(run_id, answer)
        await _within(LAST_WORDS, run.live.until(lambda row: row.events > before.events))
        return run.live.row

    async def retry(self, run_id: str) -> LiveRun:
        """Do a finished run again: the same document, input, seed and parameters.

        Raises
        ------
        ConflictError
            While it is not finished.
        McnbError
            As ``submit``.
        """
        row = (await self.find(run_id)).row
        if row.state not in TERMINAL:
            raise ConflictError(f"the run is {row.state}: it can be done again when it is finished")
        request, check = again(row, await self._store.document_of(run_id), self._catalog, self._settings)
        return await self._intake.take_again(request, check, row)

    async def delete(self, run_id: str) -> None:
        """Delete a finished run.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        ConflictError
            While it is not finished.
        """
        await self._store.delete(run_id)

    async def list(self, **which: Any) -> _Rows:
        """Return runs, the newest first; the parameters are those of ``RunStore.list``."""
        return await self._store.list(**which)


async def _within(seconds: float, waiting: Coroutine[Any, Any, None]) -> None:
    """Wait for something to be stored, but not for ever: the disk may be full."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(waiting, seconds)
