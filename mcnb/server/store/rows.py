"""What goes into the store and what comes out of it. All times are seconds since 1970."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TERMINAL = ("cancelled", "completed", "failed")
"""The states that a run never leaves."""

STATES = ("pending", "processing", "interrupted", "cancelling", *TERMINAL)


@dataclass(frozen=True)
class StoredDocument:
    """A document as its runs were made from it.

    Attributes
    ----------
    digest : str
        The document's own digest.
    source : dict
        Its content as written.
    folder : str
        The folder that relative names in it start from.
    files : list of str
        The files it was read from.
    """

    digest: str
    source: dict[str, Any]
    folder: str = ""
    files: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class NewRun:
    """A run to accept.

    Attributes
    ----------
    id : str
        The run's id.
    workflow : str
        The public id of its workflow.
    document : StoredDocument
        The document it is made from.
    request : dict
        JSON data: what the run was asked to do (input, seed, parameters...).
    priority : str
        ``interactive``, ``api`` or ``bulk``.
    created : float
        When it was accepted.
    session_id, metadata, idempotency_key, request_sha256, kernel_id, retry_of
        The caller's, where it gave them; ``request_sha256`` tells requests of one idempotency key apart.
    """

    id: str
    workflow: str
    document: StoredDocument
    request: dict[str, Any]
    priority: str
    created: float
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    idempotency_key: str | None = None
    request_sha256: str | None = None
    kernel_id: str | None = None
    retry_of: str | None = None


@dataclass(frozen=True)
class StoredRun:
    """A run as it stands in the store.

    Attributes
    ----------
    number : int
        1, 2, 3... in the order of acceptance; never given twice.
    document_digest : str
        The digest of its document.
    state : str
        One of the seven states of a run.
    started, finished : float or None
        When it started and ended.
    output, error, record
        What it ended with. Lists of runs leave ``output`` and ``record`` out.
    events : int
        The number of its last event.
    interruption : dict or None
        While it is interrupted: the data of the event that says so.

    The other attributes are those of ``NewRun``.
    """

    number: int
    id: str
    workflow: str
    document_digest: str
    request: dict[str, Any]
    priority: str
    created: float
    session_id: str | None
    metadata: dict[str, Any] | None
    idempotency_key: str | None
    request_sha256: str | None
    kernel_id: str | None
    retry_of: str | None
    state: str
    started: float | None
    finished: float | None
    error: dict[str, Any] | None
    events: int
    interruption: dict[str, Any] | None
    output: Any = None
    record: dict[str, Any] | None = None


@dataclass(frozen=True)
class Finish:
    """How a run ended.

    Attributes
    ----------
    state : str
        ``cancelled``, ``completed`` or ``failed``.
    output, error, record
        JSON data.
    finished : float, optional
        When; the moment of writing when it is not given.
    """

    state: str
    output: Any = None
    error: dict[str, Any] | None = None
    record: dict[str, Any] | None = None
    finished: float | None = None


def first_event(run: NewRun | StoredRun) -> dict[str, Any]:
    """Return the event that every run begins with."""
    return {"id": 1, "type": "state", "time": run.created, "state": "pending"}
