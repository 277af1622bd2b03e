"""A batch of a notebook whose rows are computed on Ray; what ``compose.batch(rows, engine="ray")`` returns."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

from mcnb.batch.computing import Result
from mcnb.batch.on_ray import OnRay
from mcnb.batch.task import Item, Task
from mcnb.compose import Document
from mcnb.errors import InternalError, McnbError, RunCancelledError, error_of
from mcnb.runtime.batch import Batch
from mcnb.runtime.batch_row import BatchRow
from mcnb.runtime.provenance import describe_document
from mcnb.runtime.record import Record
from mcnb.runtime.row_orders import RowOrders
from mcnb.runtime.rows import Source, read_rows
from mcnb.runtime.run import TERMINAL, Run


def batch_on_ray(
    document: Document,
    rows: Source,
    workflow: str | None = None,
    *,
    seed: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    address: str | None = None,
    workers: int | None = None,
    batch_size: int | None = None,
) -> Batch:
    """Compute a row for every one of a list, a table or a file on Ray, and return at once.

    Parameters
    ----------
    document : Document
        The loaded file.
    rows, workflow, seed, parameters
        As in ``Compose.batch``.
    address, workers, batch_size
        As of ``OnRay``.

    Raises
    ------
    InvalidInputError, NotSupportedError, UnsupportedModelError
        As ``Compose.batch``; also where Ray is not installed.
    """
    engine = OnRay(address=address, workers=workers, batch_size=batch_size, with_record=True)
    orders = RowOrders(document, workflow, seed=seed, parameters=parameters)
    given = {key: value for key, value in (parameters or {}).items() if key != "seed"}
    task = Task(document, document.workflow(workflow).id, given, orders.seed, orders.seed_given)
    return _BatchOnRay(engine, task, read_rows(rows, orders.inputs), orders.inputs.names)


class _BatchOnRay(Batch):
    """A batch whose rows are no runs of this process."""

    def __init__(self, engine: OnRay, task: Task, values: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
        self._engine = engine
        self._task = task
        self._session = 0
        super().__init__(values, task.seed, names, _no_run, _no_schedule)

    def _begin(self, rows: Sequence[BatchRow]) -> None:
        if not rows:
            return
        for row in rows:
            row._reset()
        self._done = self._stopping = False
        self._stop = threading.Event()
        self._session += 1
        threading.Thread(target=self._compute_all, args=(list(rows),), name="mcnb-batch", daemon=True).start()

    def cancel(self) -> None:
        """Ask all rows that are not done to stop; ``wait`` waits until they have."""
        with self._changes.lock:
            if self._done:
                return
            self._stopping = True
        self._stop.set()
        self._changes.tell()

    def _compute_all(self, rows: list[BatchRow]) -> None:
        error: McnbError = RunCancelledError("the batch was cancelled")
        results = self._engine.results(self._task, _Held(rows), self._stop, _nothing, self._session)
        try:
            for found in results:
                for result in found:
                    self._take(result)
                self._changes.tell()
        except McnbError as failed:
            error = failed
        except Exception as defect:  # of all rows that are left: whoever waits must hear of it
            error = InternalError(f"the batch failed ({type(defect).__name__}: {defect})")
            error.__cause__ = defect
        finally:
            for row in rows:
                if row.state not in TERMINAL:
                    row._finish("cancelled" if self._stopping else "failed", error)
            with self._changes.lock:
                self._done = True
                self._changes.lock.notify_all()
            self._changes.tell()

    def _take(self, result: Result) -> None:
        row = self.rows[result["row"] - 1]
        if row.state in TERMINAL:
            return  # computed twice: a machine was lost with the first answer
        told = result["error"]
        record = {**result["record"], "document": describe_document(self._task.document)}
        row._take(
            result["state"],
            output=result["output"],
            error=None if told is None else error_of(told["code"], told["message"]),
            record=Record.from_dict(record),
        )


class _Held:
    """The rows of a batch that are not done, in pieces."""

    def __init__(self, rows: list[BatchRow]) -> None:
        self._rows = rows
        self._pieces: list[list[BatchRow]] = []

    def cut(self, size: int) -> list[int]:
        left = [row for row in self._rows if row.state not in TERMINAL]
        self._pieces = [left[start : start + size] for start in range(0, len(left), size)]
        return list(range(len(self._pieces)))

    def piece(self, number: int) -> list[Item]:
        return [Item(row.number, row.number, row.input) for row in self._pieces[number]]


def _no_run(row: BatchRow) -> Run:
    raise AssertionError("rows on Ray are no runs of this process")


def _no_schedule(working: Any) -> None:
    raise AssertionError("rows on Ray are not computed by this process")


def _nothing(sentence: str) -> None:
    return None
