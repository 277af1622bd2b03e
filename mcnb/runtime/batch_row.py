"""BatchRow: one row of a batch, before, during and after its run."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from typing import Any

from mcnb.errors import McnbError
from mcnb.runtime.jobs import derived_seed
from mcnb.runtime.reading import text_of
from mcnb.runtime.record import Record
from mcnb.runtime.run import TERMINAL, Run, State


class BatchRow:
    """One row of a batch.

    Attributes
    ----------
    number : int
        From 1.
    input : dict
        As checked.
    output : Any
        What the workflow gave; None until the row is completed.
    error : McnbError or None
        Why the row failed or was cancelled.
    record : Record or None
        Everything needed to repeat the row alone; None until it is done.
    """

    def __init__(self, number: int, input: dict[str, Any], seed: int) -> None:
        self.number = number
        self.input = input
        self._seed = seed
        self._run: Run | None = None
        self._reset()

    def _reset(self) -> None:
        self.output: Any = None
        self.error: McnbError | None = None
        self.record: Record | None = None
        self._state: State = "pending"
        self._text = ""

    @property
    def state(self) -> State:
        """As of a run."""
        run = self._run
        if run is None:
            return self._state
        return "processing" if run.state in TERMINAL else run.state  # until its results are here too

    @property
    def text(self) -> str:
        """The text so far, as of a run."""
        run = self._run
        return self._text if run is None else run.text

    @property
    def seed(self) -> int:
        """The seed of the row: with it, the row alone gives the same text."""
        return self._seed if self.record is None else self.record.used_seed

    def _finish(self, state: State, error: McnbError | None) -> None:
        """Keep what a run gave, and let go of the run."""
        run, self._state, self.error = self._run, state, error
        if run is not None:
            self.output, self._text, self.record = run.output, run.text, run.record
        for link in _chain(error):
            traceback.clear_frames(link.__traceback__)  # they hold the run and all its events
        self._run = None

    def _take(self, state: State, *, output: Any, error: McnbError | None, record: Record) -> None:
        """Keep what came of a run in another process."""
        self._state, self.output, self.error, self.record = state, output, error, record
        self._text = text_of(output) or ""

    def __repr__(self) -> str:
        return f"<row {self.number}: {self.state}>"


def row_seed(seed: int, key: int | str) -> int:
    """Return the seed of a row, known by its number or by a key of its own: 32 bits, as of a seed that is drawn."""
    return derived_seed(seed, "batch", key) >> 31


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
