"""Recovery: what an earlier server left unfinished."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcnb.compose import Document
from mcnb.errors import KernelDiedError, McnbError, RunCancelledError, ServerRestartedError
from mcnb.server.catalog import Catalog
from mcnb.server.keeper.documents import from_store
from mcnb.server.keeper.journal import Journal
from mcnb.server.keeper.live import LiveRun
from mcnb.server.kernels import KernelLink, Kernels
from mcnb.server.store import Finish, RunStore, StoredRun

LAST_WORDS = 5.0
"""Seconds to wait until the ends are stored: the disk may be full."""

Found = Callable[[StoredRun, Document, KernelLink | None], object]


class Recovery:
    """Brings the runs of an earlier server to their end, or on their way again.

    Parameters
    ----------
    store, catalog, kernels, clock
        As the keeper's.
    """

    def __init__(self, store: RunStore, catalog: Catalog, kernels: Kernels, clock: Callable[[], float]) -> None:
        self._store = store
        self._catalog = catalog
        self._kernels = kernels
        self._clock = clock
        self._documents: dict[tuple[str, str], Document | McnbError] = {}

    async def recover(self, go_on: Found) -> None:
        """End what was under way, and let what waits wait again, in order.

        Parameters
        ----------
        go_on : callable
            Gets each run that waits, its document and, where it names one, the kernel it is for.
        """
        ended: list[LiveRun] = []
        for row in await self._store.unfinished():
            if row.state == "cancelling":
                ended.append(self._end(row, "cancelled", RunCancelledError("the run was cancelled")))
            elif row.state != "pending":
                message = "the server ended while the run was under way"
                ended.append(self._end(row, "failed", ServerRestartedError(message, hint="send it again, or retry it")))
            else:
                try:
                    go_on(row, await self._document(row), await self._kernel(row))
                except McnbError as error:
                    ended.append(self._end(row, "failed", error))
        if ended:
            await asyncio.wait([asyncio.create_task(live.wait()) for live in ended], timeout=LAST_WORDS)

    async def _document(self, row: StoredRun) -> Document:
        stored = await self._store.document_of(row.id)
        key = (stored.digest, stored.folder)
        if key not in self._documents:
            try:
                self._documents[key] = await asyncio.to_thread(from_store, stored, self._catalog)
            except McnbError as error:
                self._documents[key] = error
        found = self._documents[key]
        if isinstance(found, McnbError):
            raise found
        return found

    async def _kernel(self, row: StoredRun) -> KernelLink | None:
        if row.kernel_id is None:
            return None
        try:
            return await self._kernels.attached(row.kernel_id)
        except McnbError as error:
            message = f"the kernel that the run was for is not there any more: {error.message}"
            raise KernelDiedError(message, hint=error.hint) from error

    def _end(self, row: StoredRun, state: str, error: McnbError) -> LiveRun:
        live = LiveRun(self._store, row)
        now, told = self._clock(), error.to_dict()
        last = {"type": "state", "time": now, "state": state, "error": told}
        Journal(self._store, live).finish([last], Finish(state, error=told, finished=now))
        return live
