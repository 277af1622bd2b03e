"""What a caller asks for, and what bounds it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

PRIORITIES = ("interactive", "api", "bulk")
"""The first goes first."""


@dataclass(frozen=True)
class RunRequest:
    """What a caller asks for; nothing of it is checked yet.

    Attributes
    ----------
    workflow_id : str or None
        As the catalog calls it; None is the default one.
    input : Any
        A mapping of names to values.
    seed : int or None
        For the same text again; drawn when not given.
    parameters : dict
        Overrides of generation parameters.
    timeout : float or None
        Seconds from acceptance after which the run is stopped and failed.
    priority : str
        ``interactive``, ``api`` or ``bulk``.
    kernel_id : str or None
        An existing kernel to run in; None is the server's own.
    session_id, metadata
        The caller's; kept with the run.
    idempotency_key : str or None
        The same key and the same request are the same run.
    """

    workflow_id: str | None = None
    input: Any = None
    seed: int | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    timeout: float | None = None
    priority: str = "api"
    kernel_id: str | None = None
    session_id: str | None = None
    metadata: dict[str, Any] | None = None
    idempotency_key: str | None = None


@dataclass(frozen=True)
class Settings:
    """The bounds of a keeper.

    Attributes
    ----------
    queue_length : int
        Runs that may wait.
    running : int
        Runs that the server's own kernel has at a time.
    max_output_tokens : int or None
        The most new tokens of a generation.
    max_timeout : float
        Seconds; the longest time limit, and that of runs that name none, from when their kernel has them.
    default_timeout : float or None
        Seconds from acceptance, for runs that name no time limit.
    retention_age : float or None
        Seconds after which finished runs are deleted; None keeps them.
    retention_count : int or None
        Finished runs that are kept at most; None is all.
    stop_grace : float
        Seconds that running runs have to end when the server stops.
    """

    queue_length: int = 64
    running: int = 16
    max_output_tokens: int | None = None
    max_timeout: float = 3600
    default_timeout: float | None = None
    retention_age: float | None = None
    retention_count: int | None = None
    stop_grace: float = 10
