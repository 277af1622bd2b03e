"""Standing: how far a job is, how fast, and how long it still takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mcnb.runtime.wording import seconds_text

WINDOW = 30.0
"""Seconds that the speed is an average of."""

STILL = 10.0
"""Seconds without a row after which it is told how long that has been."""


class Standing:
    """How far a job is.

    Parameters
    ----------
    total : int
        Rows of the job.
    finished, failed : int
        That were done before it went on.
    clock : callable
        Monotonic seconds.

    Attributes
    ----------
    fresh : int
        Rows done since it went on.
    tokens : int
        Generated for them.
    """

    def __init__(
        self, total: int, finished: int = 0, failed: int = 0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total = total
        self.finished = finished
        self.failed = failed
        self.fresh = self.tokens = 0
        self._clock = clock
        self._began = clock()
        self._marks: deque[tuple[float, int, int]] = deque([(self._began, 0, 0)])

    def note(self, results: Iterable[Mapping[str, Any]]) -> None:
        """Count results."""
        for result in results:
            self.finished += 1
            self.fresh += 1
            self.failed += result["state"] != "completed"
            self.tokens += result["output_tokens"]
        now = self._clock()
        self._marks.append((now, self.fresh, self.tokens))
        while len(self._marks) > 2 and now - self._marks[1][0] > WINDOW:
            self._marks.popleft()

    @property
    def seconds(self) -> float:
        """Since it began, or went on."""
        return self._clock() - self._began

    @property
    def rows_per_second(self) -> float | None:
        """Of late; None while there is nothing to tell."""
        return self._rate(1)

    @property
    def tokens_per_second(self) -> float | None:
        """Of late, of all rows together."""
        return self._rate(2)

    @property
    def seconds_left(self) -> float | None:
        """At the speed of late; None while there is none."""
        rate = self.rows_per_second
        return (self.total - self.finished) / rate if rate else None

    def _rate(self, place: int) -> float | None:
        seconds = self._clock() - self._marks[0][0]
        amount = self._marks[-1][place] - self._marks[0][place]
        return amount / seconds if seconds > 0 and amount else None

    def line(self) -> str:
        """Say it in one line.

        Examples
        --------
        >>> Standing(2000, 1234).line()
        '1,234 of 2,000 rows'
        """
        left = self.seconds_left
        still = self._clock() - self._marks[-1][0]
        return "  ".join(
            [
                f"{self.finished:,} of {self.total:,} rows",
                *([f"{self.failed:,} failed"] if self.failed else []),
                *self._speeds(self.rows_per_second, self.tokens_per_second),
                *([f"no row for {seconds_text(still)}"] if still > STILL and self.fresh else []),
                *([f"{seconds_text(left)} left"] if left is not None and self.finished < self.total else []),
            ]
        )

    def last_line(self) -> str:
        """Say how it went."""
        seconds = self.seconds
        speeds = self._speeds(self.fresh / seconds, self.tokens / seconds) if self.fresh and seconds > 0 else []
        before = self.finished - self.fresh
        return " · ".join(
            [
                f"{self.finished:,} of {self.total:,} rows",
                *([f"{before:,} of them before"] if before and self.fresh else []),
                *([f"{self.failed:,} failed"] if self.failed else []),
                *([seconds_text(seconds), *speeds] if self.fresh else []),
            ]
        )

    @staticmethod
    def _speeds(rows: float | None, tokens: float | None) -> list[str]:
        found = [] if rows is None else [f"{rows:,.1f} rows/s"]
        return found if tokens is None else [*found, f"{tokens:,.0f} tokens/s"]
