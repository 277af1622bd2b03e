"""Intake: from a request to a row in the store, once for each idempotency key."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from mcnb.errors import ConflictError
from mcnb.server.keeper.checks import Checked, check_key, request_digest
from mcnb.server.keeper.documents import to_store
from mcnb.server.keeper.handing import Handing
from mcnb.server.keeper.request import RunRequest
from mcnb.server.kernels import KernelLink, Kernels
from mcnb.server.store import NewRun, RunStore, StoredDocument, StoredRun

Check: TypeAlias = Callable[[], Checked]
"""Checks a request; called in a thread."""


@dataclass(frozen=True)
class Taken:
    """A request that has its row.

    Attributes
    ----------
    row : StoredRun
        As the store gave it.
    created : bool
        Whether this request made it; otherwise an earlier one of the same key did.
    checked : Checked or None
        What was checked, when this request made it.
    link : KernelLink or None
        The existing kernel that it is for.
    """

    row: StoredRun
    created: bool
    checked: Checked | None = None
    link: KernelLink | None = None


class Intake:
    """Turns requests into rows.

    Parameters
    ----------
    store, kernels, clock
        As the keeper's.
    handing : Handing
        Says whether one more run may wait.
    """

    def __init__(
        self,
        store: RunStore,
        kernels: Kernels,
        handing: Handing,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._kernels = kernels
        self._handing = handing
        self._clock = clock

    async def earlier(self, request: RunRequest) -> tuple[StoredRun | None, str]:
        """Return the row that an earlier request of the same key made, and the digest of this request.

        Raises
        ------
        ConflictError
            When the key was used for another request.
        InvalidInputError
            When it is no key.
        """
        check_key(request.idempotency_key)
        digest = await asyncio.to_thread(request_digest, request)
        if request.idempotency_key is None:
            return None, digest
        row = await self._store.by_key(request.idempotency_key)
        if row is not None and row.request_sha256 != digest:
            raise used_for_another()
        return row, digest

    async def take(
        self, request: RunRequest, digest: str | None, check: Check, *, retry_of: str | None = None
    ) -> Taken:
        """Check a request and write its row. What was promised a place has to be queued before anything is awaited.

        Parameters
        ----------
        request : RunRequest
            What a caller asks for.
        digest : str
            As ``earlier`` gave it.
        check : callable
            Checks it; called in a thread.
        retry_of : str, optional
            The run that is done again.

        Raises
        ------
        InvalidInputError, NotSupportedError, NotFoundError
            For a request that cannot be run; nothing was written.
        QueueFullError
            When too many runs wait.
        DiskFullError
            When the row cannot be written.
        """
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
        return Taken(row, created, checked if created else None, link)


def used_for_another() -> ConflictError:
    """Return the error for a key that another request has used."""
    return ConflictError("the idempotency key was used for another request", hint="use a new key for a new request")


def _with_document(checked: Checked) -> tuple[Checked, StoredDocument]:
    return checked, to_store(checked.document)
