"""When to ask again about what is not heard of: soon at first, then more and more seldom."""

from __future__ import annotations

LONGEST = 60.0
"""Seconds between two questions: a kernel that is stopped for a night must not wake to thousands."""


class Patience:
    """Says when it is time to ask.

    Parameters
    ----------
    first : float
        Seconds of silence before the first question, and between the first questions.
    now : float
        The time, in seconds of any clock.
    """

    FREE = 3
    """Questions that are asked at the first pace."""

    def __init__(self, first: float, now: float) -> None:
        self._first = first
        self.heard(now)

    def heard(self, now: float) -> None:
        """Note that there was an answer, or anything else."""
        self._asked = 0
        self._pace = self._first
        self._next = now + self._first

    def is_over(self, now: float) -> bool:
        """Return whether to ask now; if so, it is taken to be asked."""
        if now < self._next:
            return False
        self._asked += 1
        if self._asked > self.FREE:
            self._pace = min(LONGEST, 2 * self._pace)
        self._next = now + self._pace
        return True
