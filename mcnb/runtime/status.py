"""Status: what a run is doing, how far it is and how long it still takes.

The one place that puts progress into words: the command, the live output of a cell and the form all show ``line()``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from mcnb.runtime.wording import bytes_text, seconds_text

Stage: TypeAlias = Literal[
    "waiting",
    "download",
    "convert",
    "load",
    "prompt",
    "generating",
    "interrupted",
    "stopping",
    "cancelled",
    "completed",
    "failed",
]

_VERBS: dict[Stage, str] = {"download": "downloading", "convert": "converting", "load": "loading"}


@dataclass(frozen=True, slots=True)
class Status:
    """What a run was doing when its last event came.

    Attributes
    ----------
    stage : str
        ``waiting, download, convert, load, prompt, generating, interrupted, stopping, cancelled, completed, failed``.
    what : str
        The model (``download, convert, load``), the job (``prompt, generating``), the question (``interrupted``), the
        error (``failed``), what is waited for (``waiting``); may be empty.
    done, total, unit : int, int, str
        How far a model's download (``bytes``), conversion (``tensors``) or loading (``weights``) is; a total of 0 is
        unknown.
    tokens : int
        Of the prompt that is being read (``prompt``), of this generation (``generating``), generated in all.
    budget : int or None
        How many tokens may be generated; None when that is not known.
    units_per_second, tokens_per_second : float or None
        The speed of this stage; the first token of a generation does not count.
    seconds_left : float or None
        At this speed: until the stage ends, at most; of a repeated job until its last item does.
    item, items : int or None
        Where a repeated job is; `item` counts from 1.
    """

    stage: Stage = "waiting"
    what: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    tokens: int = 0
    budget: int | None = None
    units_per_second: float | None = None
    tokens_per_second: float | None = None
    seconds_left: float | None = None
    item: int | None = None
    items: int | None = None

    @property
    def fraction(self) -> float | None:
        """How much of the stage is done, 0 to 1; None when nobody knows."""
        if self.stage == "completed":
            return 1.0
        if self.stage in _VERBS:
            return min(1.0, self.done / self.total) if self.total else None
        if self.stage not in ("prompt", "generating"):
            return None
        part = min(1.0, self.tokens / self.budget) if self.budget and self.stage == "generating" else None
        if self.item is not None and self.items:
            return min(1.0, (self.item - 1 + (part or 0.0)) / self.items)
        return part

    def line(self) -> str:
        """Say it in one line: what, how far, how fast, how long still.

        Examples
        --------
        >>> Status("generating", tokens=41, budget=128, tokens_per_second=22.5, seconds_left=3.9).line()
        'generating  41 of up to 128 tokens  22.5 tokens/s  4 s left'
        """
        if self.stage in _VERBS:
            return "  ".join([f"{_VERBS[self.stage]} {self.what}", *self._amounts(), *self._left()])
        if self.stage == "prompt":
            return "  ".join([f"{self._place()}reading the prompt", f"{self.tokens:,} tokens", *self._left()])
        if self.stage == "generating":
            limit = "" if self.budget is None else f" of up to {self.budget:,}"
            speed = [] if self.tokens_per_second is None else [f"{self.tokens_per_second:.1f} tokens/s"]
            return "  ".join([f"{self._place()}generating", f"{self.tokens:,}{limit} tokens", *speed, *self._left()])
        if self.stage == "waiting":
            return f"waiting for {self.what}" if self.what else "waiting"
        if self.stage == "interrupted":
            return f"waiting for an answer: {self.what}" if self.what else "waiting for an answer"
        if self.stage == "cancelled" and self.tokens:
            return f"cancelled after {self.tokens:,} tokens"
        return f"failed: {self.what}" if self.stage == "failed" and self.what else self.stage

    def _place(self) -> str:
        if self.item is None or self.items is None:
            return ""
        return f"{self.what or 'item'} {self.item:,} of {self.items:,}: "

    def _amounts(self) -> list[str]:
        if not self.total:
            return [bytes_text(self.done)] if self.done and self.unit == "bytes" else ["..."]
        if self.unit != "bytes":
            return [f"{self.done:,} of {self.total:,} {self.unit}"]
        found = [f"{bytes_text(self.done)} of {bytes_text(self.total)}", f"{100 * self.done // self.total} %"]
        return found if self.units_per_second is None else [*found, f"{bytes_text(self.units_per_second)}/s"]

    def _left(self) -> list[str]:
        return [] if self.seconds_left is None else [f"{seconds_text(self.seconds_left)} left"]
