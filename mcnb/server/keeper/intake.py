"""Intake: from a request to a row in the store, once for each idempotency key."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from typing import TypeAlias

from mcnb.errors import ConflictError, ServerStoppingError
from mcnb.server.keeper.checks import Checked, check_key, request_digest
from mcnb.server.keeper.documents import to_store
from mcnb.server.keeper.handing import Handing
from mcnb.server.keeper.keeping import Keeping
from mcnb.server.keeper.live import LiveRun
from mcnb.server.keeper.request import RunRequest
from mcnb.server.kernels import Kernels
from mcnb.server.store import NewRun, RunStore, StoredDocument, StoredRun

Check: TypeAlias = Callable[[], Checked]
"""Checks a request; called in a thread."""

_Taking: TypeAlias = "asyncio.Task[tuple[LiveRun, bool]]"


class Intake:
    """Turns requests into rows, and has the runs kept. What has begun ends, whatever becomes of its caller.

    Parameters
    ----------
    store, kernels, clock
        As the keeper's.
    handing : Handing
        Says whether one more run may wait.
    keeping : Keeping
        Sees to what was taken.
    """

    def __init__(
        self, store: RunStore, kernels: Kernels, handing: Handing, keeping: Keeping, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._kernels = kernels
        self._handing = handing
        self._keeping = keeping
        self._clock = clock
        self._taking: set[_Taking] = set()
        self._by_key: dict[str, tuple[str, _Taking]] = {}
        self._stopping = False

    async def stop(self, last_words: float) -> None:
        """Take no more; wait some seconds for what is being written."""
        self._stopping = True
        if self._taking:
            await asyncio.wait(self._taking, timeout=last_words)

    async def take(self, request: RunRequest, check: Check) -> tuple[LiveRun, bool]:
        """Take a run, or find the one that an earlier request of the same key made; see ``RunKeeper.submit``."""
        check_key(request.idempotency_key)
        digest = await asyncio.to_thread(request_digest, request)
        key = request.idempotency_key
        if key is None:
            return await self._begin(request, digest, check)
        if (row := await self._store.by_key(key)) is not None:
            _check_same(row.request_sha256, digest)
            return await self._keeping.known(row), False
        if key in self._by_key:
            known, under_way = self._by_key[key]
            _check_same(known, digest)
            run, _ = await asyncio.shield(under_way)
            return run, False
        return await self._begin(request, digest, check, key=key)

    async def take_again(self, request: RunRequest, check: Check, row: StoredRun) -> LiveRun:
        """Take a run that does again what another one did."""
        run, _ = await self._begin(request, row.request_sha256, check, retry_of=row.id)
        return run

    async def _begin(
        self,
        request: RunRequest,
        digest: str | None,
        check: Check,
        *,
        key: str | None = None,
        retry_of: str | None = None,
    ) -> tuple[LiveRun, bool]:
        if self._stopping:
            raise ServerStoppingError("the server is stopping and takes no more runs", hint="try again in a moment")
        taking = asyncio.create_task(self._take(request, digest, check, retry_of))
        self._taking.add(taking)
        taking.add_done_callback(self._ended)
        if key is not None and digest is not None:
            self._by_key[key] = digest, taking
            taking.add_done_callback(lambda _: self._by_key.pop(key))
        return await asyncio.shield(taking)

    def _ended(self, taking: _Taking) -> None:
        self._taking.discard(taking)
        if not taking.cancelled():
            taking.exception()  # its caller may have gone; nobody else has to hear of it

    async def _take(
        self, request: RunRequest, digest: str | None, check: Check, retry_of: str | None
    ) -> tuple[LiveRun, bool]:
        checked, document = await asyncio.to_thread(lambda: _with_document(check()))
        link = None if request.kernel_id is None else await self._kernels.attached(request.kernel_id)
        with contextlib.nullcontext() if link is not None else self._handing.place():
            row, created = await self._store.accept(
                NewRun(
                    id=uuid.uuid4().hex,
                    workflow=checked.workflow,
                    document=document,
                    request=checked.request,
                    priority=request.priority,
                    created=self._clock(),
                    session_id=request.session_id,
                    metadata=request.metadata,
                    idempotency_key=request.idempotency_key,
                    request_sha256=digest,
                    kernel_id=request.kernel_id,
                    retry_of=retry_of,
                )
            )
            if created:  # nothing is awaited between its place and its being kept
                return self._keeping.keep(row, checked.document, link), True
        return await self._keeping.known(row), False


def _with_document(checked: Checked) -> tuple[Checked, StoredDocument]:
    return checked, to_store(checked.document)


def _check_same(known: str | None, digest: str) -> None:
    if known != digest:
        raise ConflictError("the idempotency key was used for another request", hint="use a new key for a new request")
