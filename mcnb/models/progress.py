"""Progress of long work before the first token: downloads, conversions, loading."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

Stage: TypeAlias = Literal["download", "convert", "load"]


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come.

    Attributes
    ----------
    stage : str
        ``download`` (bytes), ``convert`` (tensors) or ``load`` (weights).
    what : str
        The model or file.
    done, total : int
        Amounts in `unit`; a total of 0 is unknown.
    unit : str
        ``bytes``, ``tensors``, ``weights`` or ``matrices quantized``.
    """

    stage: Stage
    what: str
    done: int
    total: int
    unit: str

    def to_dict(self) -> dict[str, Any]:
        """Return the data of the event that tells it."""
        return {"what": self.what, "done": self.done, "total": self.total, "unit": self.unit}


Report: TypeAlias = Callable[[Progress], None]


def no_report(progress: Progress) -> None:
    """Report to nobody."""


class Throttled:
    """Pass reports on at most every `interval` seconds, and always the first and the complete one; none twice."""

    def __init__(self, report: Report, interval: float = 0.1, clock: Callable[[], float] = time.monotonic) -> None:
        self._report = report
        self._interval = interval
        self._clock = clock
        self._next = float("-inf")
        self._last: Progress | None = None

    def __call__(self, progress: Progress) -> None:
        """Report, unless the last report was a moment ago."""
        now = self._clock()
        complete = progress.total and progress.done >= progress.total
        if progress != self._last and (complete or now >= self._next):
            self._next = now + self._interval
            self._last = progress
            self._report(progress)
