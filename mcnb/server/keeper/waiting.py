"""Waiting: the runs that wait for the server's kernel, and whose turn it is."""

from __future__ import annotations

from collections.abc import Iterator

from mcnb.server.keeper.kept import KeptRun
from mcnb.server.keeper.request import PRIORITIES

OLDEST_EVERY = 4
"""Every so many hand-outs the oldest run goes, whatever its priority: nobody starves."""

_RANK = {name: number for number, name in enumerate(PRIORITIES)}


class Waiting:
    """The runs that wait."""

    def __init__(self) -> None:
        self._runs: dict[str, KeptRun] = {}
        self._handed = 0

    def __len__(self) -> int:
        return len(self._runs)

    def __iter__(self) -> Iterator[KeptRun]:
        return iter(self._runs.values())

    def add(self, run: KeptRun) -> None:
        """Let a run wait."""
        self._runs[run.id] = run

    def drop(self, run: KeptRun) -> None:
        """Take a run out that is over, if it waits."""
        self._runs.pop(run.id, None)

    def take(self, most: int) -> list[KeptRun]:
        """Take out the runs whose turn it is, at most so many."""
        taken = self.next(most)
        for run in taken:
            del self._runs[run.id]
        self._handed += len(taken)
        return taken

    def next(self, most: int) -> list[KeptRun]:
        """Return the runs that ``take`` would take."""
        left = dict(self._runs)
        chosen: list[KeptRun] = []
        while left and len(chosen) < most:
            is_oldest = (self._handed + len(chosen) + 1) % OLDEST_EVERY == 0
            run = min(left.values(), key=_age if is_oldest else _turn)
            del left[run.id]
            chosen.append(run)
        return chosen


def _age(run: KeptRun) -> int:
    return run.live.row.number


def _turn(run: KeptRun) -> tuple[int, int]:
    return _RANK.get(run.live.row.priority, len(_RANK)), run.live.row.number
