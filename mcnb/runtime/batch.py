"""Batch: one workflow for many rows of input."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

from mcnb.errors import InternalError, InvalidInputError, McnbError, RunCancelledError
from mcnb.runtime.batch_row import BatchRow, row_seed
from mcnb.runtime.changes import Changes
from mcnb.runtime.run import TERMINAL, Run, State
from mcnb.runtime.wording import part_name

if TYPE_CHECKING:
    from mcnb.runtime.table import Table

__all__ = ["Batch", "BatchRow"]

WINDOW = 32
"""Runs under way at a time: as many as a model computes together."""

ENGINES = ("local", "ray")

Start = Callable[[BatchRow], Run]
Schedule = Callable[[Coroutine[Any, Any, None]], object]


class Batch:
    """A workflow run for every row, in order, a few at a time; a row that fails leaves the others alone.

    Made by ``Compose.batch``. Safe to use from any thread.

    Parameters
    ----------
    values : sequence of dict
        The checked input of each row.
    seed : int
        The seeds of the rows are derived from it and their numbers.
    names : sequence of str
        Of the workflow's inputs, in order.
    start : callable
        Starts the run of a row.
    schedule : callable
        Gives a coroutine to the loop of the runs.
    width : int
        Rows under way at a time.

    Attributes
    ----------
    rows : tuple of BatchRow
        In order, whatever their state.
    seed : int
        Of the batch.
    """

    def __init__(
        self,
        values: Sequence[dict[str, Any]],
        seed: int,
        names: Sequence[str],
        start: Start,
        schedule: Schedule,
        *,
        width: int = WINDOW,
    ) -> None:
        self.seed = seed
        self.rows = tuple(BatchRow(number, value, row_seed(seed, number)) for number, value in enumerate(values, 1))
        self._names = tuple(names)
        self._start = start
        self._schedule = schedule
        self._width = width
        self._changes = Changes("a batch")
        self._done = True
        self._stopping = False
        self._begin(self.rows)

    @property
    def done(self) -> bool:
        """Whether no row is pending or under way."""
        return self._done

    @property
    def state(self) -> State:
        """``processing, cancelling, cancelled`` or ``completed``, which a batch with failed rows is too."""
        if not self._done:
            return "cancelling" if self._stopping else "processing"
        return "cancelled" if self._stopping and any(row.state == "cancelled" for row in self.rows) else "completed"

    @property
    def finished(self) -> int:
        """How many rows are done, in whatever way."""
        return sum(row.state in TERMINAL for row in self.rows)

    @property
    def failed(self) -> tuple[BatchRow, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if row.state == "failed")

    @property
    def current(self) -> Run | None:
        """The run that is being computed; None when there is none."""
        runs = [run for row in self.rows if (run := row._run) is not None and not run.done]
        return next((run for run in runs if run.state != "pending"), runs[0] if runs else None)

    def cancel(self) -> None:
        """Ask all rows that are not done to stop; ``wait`` waits until they have."""
        with self._changes.lock:
            if self._done:
                return
            self._stopping = True
            runs = [row._run for row in self.rows if row._run is not None]
        for run in runs:
            run.cancel()
        self._changes.tell()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all rows are done; return False when the timeout, in seconds, passed first."""
        return self._changes.wait_until(lambda: self._done, timeout)

    def retry(self) -> Batch:
        """Run the failed and the cancelled rows again, with the seeds they had.

        Returns
        -------
        Batch
            This one.

        Raises
        ------
        InvalidInputError
            While it is not done.
        """
        with self._changes.lock:
            if not self._done:
                raise InvalidInputError("the batch is not done yet", hint="wait() for it, or cancel() it first")
            again = [row for row in self.rows if row.state in ("failed", "cancelled")]
            self._begin(again)
        self._changes.tell()
        return self

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every change of a row's state, from whatever thread; return how to stop that."""
        return self._changes.listen(listener)

    def table(self) -> Table:
        """Return a row each: its number, inputs, state, output and error."""
        from mcnb.runtime.batch_table import batch_table

        return batch_table(self.rows, self._names)

    def to_pandas(self) -> Any:
        """Return the table as a DataFrame; raise NotSupportedError where pandas is not installed."""
        return self.table().to_pandas()

    def __repr__(self) -> str:
        failed = f", {len(self.failed)} failed" if self.failed else ""
        return f"<Batch: {self.finished} of {len(self.rows)} rows finished{failed}, {self.state}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return how notebooks show the batch: its table."""
        return self.table()._repr_mimebundle_(include, exclude)

    def _ipython_display_(self) -> None:
        """Show a notebook how far it is until it is done, and its table then."""
        from mcnb.notebook.batch import show_progress

        if self._done or not show_progress(self):
            raise NotImplementedError  # IPython asks for the MIME bundle then

    # --- the work, in the loop of the runs ----------------------------------------------------------------------------

    def _begin(self, rows: Sequence[BatchRow]) -> None:
        if not rows:
            return
        for row in rows:
            row._reset()
        self._done = self._stopping = False
        self._schedule(self._work(rows))

    async def _work(self, rows: Sequence[BatchRow]) -> None:
        waiting = iter(rows)

        async def lane() -> None:
            for row in waiting:
                if self._stopping:
                    row._finish("cancelled", RunCancelledError("the batch was cancelled"))
                    continue
                try:
                    await self._compute(row)
                except Exception as defect:  # of one row; the others go on
                    error = defect if isinstance(defect, McnbError) else InternalError(f"the row failed ({defect!r})")
                    row._finish("failed", error)
                self._changes.tell()

        try:
            await asyncio.gather(*(lane() for _ in range(self._width)))
        finally:
            with self._changes.lock:
                self._done = True
                self._changes.lock.notify_all()
            self._changes.tell()

    async def _compute(self, row: BatchRow) -> None:
        run = self._start(row)
        with self._changes.lock:
            row._run = run
            stopping = self._stopping
        if stopping:
            run.cancel()
        unanswered: McnbError | None = None
        async for state in self._states(run):
            if state == "interrupted" and unanswered is None:
                unanswered = nobody_answers(run)
                run.cancel()
        if unanswered is not None and not self._stopping:
            row._finish("failed", unanswered)
        else:
            row._finish(run.state, run.error)

    async def _states(self, run: Run) -> AsyncIterator[State]:
        """Yield the states of a run as they come, the terminal one included."""
        loop = asyncio.get_running_loop()
        changed = asyncio.Event()
        seen: State | None = None

        def look() -> None:
            nonlocal seen
            if run.state != seen:  # not every token
                seen = run.state
                self._changes.tell()
                with contextlib.suppress(RuntimeError):  # the runtime was closed
                    loop.call_soon_threadsafe(changed.set)

        stop = run.listen(look)
        try:
            look()
            while not run.done:
                await changed.wait()
                changed.clear()
                yield run.state
        finally:
            stop()


def check_engine(engine: str, address: str | None, workers: int | None, batch_size: int | None) -> str:
    """Return the engine's name, when it is one and the settings are its own.

    Raises
    ------
    InvalidInputError
    """
    if engine not in ENGINES:
        raise InvalidInputError(f"engine has to be one of {', '.join(ENGINES)}, got {engine!r}")
    for name, value in (("workers", workers), ("batch_size", batch_size)):
        if value is not None and value < 1:
            raise InvalidInputError(f"{name} has to be 1 or more, got {value}")
    for name, given in (("address", address), ("workers", workers)):
        if given is not None and engine != "ray":
            raise InvalidInputError(f"{name} is Ray's", hint="say engine='ray', too")
    return engine


def nobody_answers(run: Run) -> InvalidInputError:
    """Return what a row fails with that waits for a person."""
    asked = run.interruption
    where = "" if asked is None else f" {asked.phase} {part_name('job', asked.job)}"
    return InvalidInputError(
        f"the row waits for a person{where}, and nobody answers in a batch",
        hint="run this row alone, or let the 'condition' of 'interrupt' be false",
    )
