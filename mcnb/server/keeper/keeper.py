"""RunKeeper: takes runs, keeps them, hands them to kernels."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from mcnb.compose import Document
from mcnb.errors import ConflictError, ServerStoppingError
from mcnb.runtime.interruption import KEPT
from mcnb.server.catalog import Catalog
from mcnb.server.keeper.again import again
from mcnb.server.keeper.checks import check_request
from mcnb.server.keeper.handing import Handing
from mcnb.server.keeper.intake import Check, Intake, used_for_another
from mcnb.server.keeper.journal import Journal
from mcnb.server.keeper.kept import KeptRun
from mcnb.server.keeper.live import LiveRun
from mcnb.server.keeper.recovery import Recovery
from mcnb.server.keeper.request import RunRequest, Settings
from mcnb.server.keeper.retention import retain
from mcnb.server.kernels import KernelLink, Kernels
from mcnb.server.store import TERMINAL, RunStore, StoredRun

LAST_WORDS = 5.0
"""Seconds to wait for what is being written."""

_Taking: TypeAlias = "asyncio.Task[tuple[LiveRun, bool]]"
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
        self._intake = Intake(store, kernels, self._handing, clock)
        self._kept: dict[str, KeptRun] = {}
        self._by_key: dict[str, tuple[str, _Taking]] = {}
        self._taking: set[_Taking] = set()
        self._ending: set[asyncio.Task[None]] = set()
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
        await recovery.recover(self._keep)
        self._handing.start()
        self._retaining = asyncio.create_task(retain(self._store, self._settings, self._sleep), name="mcnb-retention")
        self._started.set()

    async def stop(self) -> None:
        """Take no more runs, give those under way a while to end, and leave those that wait to the next server."""
        self._stopping = True
        if self._retaining is not None:
            self._retaining.cancel()
        if self._taking:
            await asyncio.wait(self._taking, timeout=LAST_WORDS)
        await self._handing.stop()
        for run in self._handing.waiting:
            run.forget_the_time()
            run.live.close()
        await self._grace()
        for run in self._handing.running:
            run.stop()
        if self._ending:
            await asyncio.wait(self._ending, timeout=LAST_WORDS)
        for run in self._kept.values():
            run.journal.give_up()
            run.live.close()

    async def _grace(self) -> None:
        """Wait for the runs under way; not for those that wait for a person."""
        ends = [asyncio.create_task(run.live.wait(or_interrupted=True)) for run in self._handing.running]
        if ends:
            _, late = await asyncio.wait(ends, timeout=self._settings.stop_grace)
            for task in late:
                task.cancel()

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
        earlier, digest = await self._intake.earlier(request)
        if earlier is not None:
            return await self._known(earlier), False
        self._check_taking()
        key = request.idempotency_key
        if key is not None and key in self._by_key:
            known, under_way = self._by_key[key]
            if known != digest:
                raise used_for_another()
            run, _ = await asyncio.shield(under_way)
            return run, False
        taking = self._begin(request, digest, lambda: check_request(request, self._catalog, self._settings))
        if key is not None:
            self._by_key[key] = digest, taking
            taking.add_done_callback(lambda _: self._by_key.pop(key, None))
        return await asyncio.shield(taking)

    async def find(self, run_id: str) -> LiveRun:
        """Return a run.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        """
        await self._started.wait()
        kept = self._kept.get(run_id)
        return kept.live if kept is not None else await self._known(await self._store.get(run_id))

    async def cancel(self, run_id: str) -> StoredRun:
        """Cancel a run: at once where it waits, otherwise as soon as its kernel has stopped; ``find`` and ``wait``.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        ConflictError
            When it is finished.
        """
        run = await self._unfinished(run_id, "it cannot be cancelled any more")
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
        run = await self._unfinished(run_id, "it waits for no answer")
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
        self._check_taking()
        request, check = again(row, await self._store.document_of(run_id), self._catalog, self._settings)
        run, _ = await asyncio.shield(self._begin(request, row.request_sha256, check, retry_of=run_id))
        return run

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

    # --- how they are kept ------------------------------------------------------------------------------------------

    def _check_taking(self) -> None:
        if self._stopping:
            raise ServerStoppingError("the server is stopping and takes no more runs", hint="try again in a moment")

    def _begin(self, *what: Any, **more: Any) -> _Taking:
        """Take a run, whatever becomes of its caller: once it has its row, it has to be kept."""
        taking = asyncio.create_task(self._take(*what, **more))
        self._taking.add(taking)
        taking.add_done_callback(self._taken)
        return taking

    def _taken(self, taking: _Taking) -> None:
        self._taking.discard(taking)
        if not taking.cancelled():
            taking.exception()  # its caller may have gone; nobody else has to hear of it

    async def _take(
        self, request: RunRequest, digest: str | None, check: Check, *, retry_of: str | None = None
    ) -> tuple[LiveRun, bool]:
        taken = await self._intake.take(request, digest, check, retry_of=retry_of)
        if taken.checked is None:
            return await self._known(taken.row), False
        return self._keep(taken.row, taken.checked.document, taken.link), True

    def _keep(self, row: StoredRun, document: Document, link: KernelLink | None) -> LiveRun:
        live = LiveRun(self._store, row)
        run = KeptRun(live, Journal(self._store, live), document, self._clock, self._over)
        self._kept[run.id] = run
        if link is None:
            self._handing.queue(run)
        else:
            self._handing.attach(run, link)
        return live

    def _over(self, run: KeptRun) -> None:
        self._handing.over(run)
        ending = asyncio.create_task(self._forget(run))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)

    async def _forget(self, run: KeptRun) -> None:
        """Keep a run until its end is stored; from then on the store knows all of it."""
        row = await run.live.wait()
        self._kept.pop(run.id, None)
        if row.started is not None and row.finished is not None:
            self._handing.took(row.finished - row.started)

    async def _known(self, row: StoredRun) -> LiveRun:
        """Return a run of the store as it is now; one that is not kept and not finished is for the next server."""
        if (kept := self._kept.get(row.id)) is not None:
            return kept.live
        if row.state not in TERMINAL:  # it may have ended since the row was read
            row = await self._store.get(row.id)
            if (kept := self._kept.get(row.id)) is not None:
                return kept.live
        live = LiveRun(self._store, row)
        live.close()
        return live

    async def _unfinished(self, run_id: str, so: str) -> KeptRun:
        """Return a run that is under way.

        Raises
        ------
        NotFoundError, ConflictError
        """
        run = await self.find(run_id)
        kept = self._kept.get(run_id)
        if kept is None or kept.over:
            raise ConflictError(f"the run is {run.state if run.done else 'over'}: {so}")
        return kept


async def _within(seconds: float, waiting: Coroutine[Any, Any, None]) -> None:
    """Wait for something to be stored, but not for ever: the disk may be full."""
    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(waiting, seconds)
