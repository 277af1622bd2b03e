"""The ways a run takes: noted in its record, and taken again when it is repeated."""

from __future__ import annotations

from collections.abc import Sequence

from mcnb.errors import McnbError, error_of
from mcnb.runtime.record import Record, Way


class Ways:
    """Where a run decides which way to go.

    Parameters
    ----------
    record : Record
        Of the run; gets every way that is taken.
    known : sequence of Way
        Of the run that is repeated.
    """

    def __init__(self, record: Record, known: Sequence[Way] = ()) -> None:
        self._record = record
        self._known = {(way.job, way.turn): way for way in known}
        self._taken: dict[tuple[str, int], Way] = {}

    @property
    def came_after(self) -> dict[tuple[str, int], tuple[str, ...]]:
        """By job and turn: which jobs came before, of a job that waits for any of several."""
        return {place: tuple(way.after) for place, way in self._known.items() if way.after is not None}

    def chosen(self, job: str, turn: int) -> str | None:
        """Return where a routing job led to in the run that is repeated."""
        way = self._known.get((job, turn))
        return None if way is None else way.to

    def failure(self, job: str, turn: int) -> McnbError | None:
        """Return what a job failed with in the run that is repeated, when that went on without it."""
        way = self._known.get((job, turn))
        return None if way is None or way.error is None else error_of(way.error["code"], way.error["message"])

    def note(
        self,
        job: str,
        turn: int,
        *,
        after: Sequence[str] | None = None,
        to: str | None = None,
        error: dict[str, str] | None = None,
    ) -> None:
        """Note a way that is taken."""
        way = self._taken.get((job, turn))
        if way is None:
            way = self._taken[job, turn] = Way(job, turn)
            self._record.ways.append(way)
        way.after = list(after) if after is not None else way.after
        way.to = to if to is not None else way.to
        way.error = error if error is not None else way.error
