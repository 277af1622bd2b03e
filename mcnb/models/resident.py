"""What is told about a model in memory."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Resident:
    """A model in memory, as it was when somebody asked.

    Attributes
    ----------
    name : str
        As people know it: ``owner/name``, a path, or ``package==version``.
    device, dtype : str
        Where it is and in which precision.
    memory : int
        Bytes of its weights and buffers.
    leases : int
        How many use it now.
    idle : float or None
        Seconds since it was last used; None while it is in use.
    """

    name: str
    device: str
    dtype: str
    memory: int
    leases: int
    idle: float | None
