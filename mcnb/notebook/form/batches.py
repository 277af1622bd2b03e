"""The batch tab of a form: many rows in one go."""

from __future__ import annotations

import keyword
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from mcnb.errors import InvalidInputError, NotSupportedError
from mcnb.notebook.form.follower import Follower
from mcnb.notebook.form.reading import read_inputs, read_parameters, read_seed
from mcnb.notebook.form.variables import look_up
from mcnb.runtime import Offering
from mcnb.runtime.batch import Batch, BatchRow

SHOWN_ROWS = 200
"""Rows the browser gets; the others are in the DataFrame."""

SHOWN_TEXT = 600
"""Characters of a row's output that the browser gets."""

Tell: TypeAlias = Callable[[Mapping[str, Any], Mapping[str, Any] | None], None]


class Batches:
    """Starts the batches of a form and tells the browser how they get on.

    Parameters
    ----------
    compose : Offering
        The loaded file, or what a server offers.
    follower : Follower
        Watches the batch.
    tell : callable
        Gets the rows that changed, and how the batch stands when that is to be kept.
    """

    def __init__(self, compose: Offering, follower: Follower, tell: Tell) -> None:
        self.compose = compose
        self.batch: Batch | None = None
        self._follower = follower
        self._tell = tell
        self._sent: dict[int, str] = {}

    def start(
        self,
        workflow: str,
        fields: list[dict[str, Any]],
        held: Mapping[str, Any],
        overrides: Mapping[str, Any],
        asked: Mapping[str, Any],
        variables: Mapping[str, Any],
    ) -> None:
        """Start a batch.

        Parameters
        ----------
        workflow, fields, held, overrides
            As for a single run; the controls give the inputs that the rows do not.
        asked : mapping
            ``source`` (``lines``, ``variable`` or ``file``), ``value``, and ``field``: the input that lines fill.
        variables : mapping
            Of the notebook.

        Raises
        ------
        InvalidInputError
            With what is wrong.
        """
        if self.batch is not None and not self.batch.done:
            raise InvalidInputError("a batch is running", hint="stop it first, or wait")
        rows = self._rows(fields, held, asked, variables)
        parameters, seed = read_parameters(overrides), read_seed(overrides)
        try:
            batch = self.compose.batch(rows, workflow, seed=seed, parameters=parameters)
        except InvalidInputError as error:
            raise InvalidInputError(str(error), errors=[{"field": "batch.value", "message": str(error)}]) from error
        self.batch = batch
        self._watch(batch)

    def _rows(
        self,
        fields: list[dict[str, Any]],
        held: Mapping[str, Any],
        asked: Mapping[str, Any],
        variables: Mapping[str, Any],
    ) -> Any:
        source, value = asked.get("source"), str(asked.get("value", ""))
        if not value.strip():
            raise _wrong("write one item a line" if source == "lines" else "name it first")
        if source == "file":
            return _file(value.strip())
        found: Any = [line for line in value.split("\n") if line.strip()]
        if source == "variable":
            try:
                found = look_up(value, variables)
            except InvalidInputError as error:
                raise _wrong(str(error)) from error
        name = asked.get("field")
        texts = _texts(found)
        if texts is None or name not in [item["name"] for item in fields]:
            return found
        others = read_inputs([item for item in fields if item["name"] != name], held)
        return [{**others, name: text} for text in texts]

    def _watch(self, batch: Batch) -> None:
        self._sent = {}
        self.tell_all()
        self._follower.watch(batch.listen, lambda: self._look(batch))

    def _look(self, batch: Batch) -> bool:
        done = batch.done
        changed = [row for row in batch.rows[:SHOWN_ROWS] if self._sent.get(row.number) != row.state]
        self._send(batch, changed, keep=done)
        return not done and batch is self.batch

    def _send(self, batch: Batch, rows: list[BatchRow], *, keep: bool) -> None:
        self._sent |= {row.number: row.state for row in rows}
        standing = {
            "state": batch.state,
            "done": batch.done,
            "total": len(batch.rows),
            "finished": batch.finished,
            "failed": len(batch.failed),
            "line": _line(batch),
        }
        kept = {**standing, "rows": [_shown(row) for row in batch.rows[:SHOWN_ROWS]]} if keep else None
        self._tell({"rows": [_shown(row) for row in rows], **standing}, kept)

    def tell_all(self) -> None:
        """Tell everything there is to show, for a view that has seen nothing yet."""
        if self.batch is not None:
            self._send(self.batch, list(self.batch.rows[:SHOWN_ROWS]), keep=True)

    def stop(self, _: object = None) -> None:
        """Cancel the batch."""
        if self.batch is not None:
            self.batch.cancel()

    def retry(self, _: object = None) -> None:
        """Run the rows again that failed or were stopped."""
        if self.batch is not None and self.batch.done:
            self.batch.retry()
            self._watch(self.batch)

    def saved(self, name: str) -> tuple[str, Any]:
        """Return the results under a variable's name: a DataFrame, or a table where pandas is not installed.

        Raises
        ------
        InvalidInputError
            When there are none, or it is no name.
        """
        if self.batch is None:
            raise InvalidInputError("there are no results yet")
        name = name.strip()
        if not name.isidentifier() or keyword.iskeyword(name):
            message = f"{name or 'nothing'} is not a variable's name"
            raise InvalidInputError(message, errors=[{"field": "batch.name", "message": message}])
        try:
            return name, self.batch.to_pandas()
        except NotSupportedError:
            return name, self.batch.table()


def _file(name: str) -> Path:
    if "\0" in name:
        raise _wrong("that is not the name of a file")
    return Path(name)  # the batch looks for it, and says what is wrong with it


def _texts(found: Any) -> list[str | None] | None:
    """Return the texts of a list or column, None for what is missing; None when it is a table or a list of mappings."""
    if hasattr(found, "columns"):
        return None
    values = found.tolist() if hasattr(found, "tolist") else list(found) if isinstance(found, list | tuple) else None
    if values is None or any(isinstance(value, Mapping) for value in values):
        return None
    return [None if _is_missing(value) else str(value) for value in values]


def _is_missing(value: Any) -> bool:
    """Whether it stands for nothing, as pandas says it too."""
    is_nan = isinstance(value, float) and value != value
    return value is None or is_nan or type(value).__name__ in ("NAType", "NaTType")


def _wrong(message: str) -> InvalidInputError:
    return InvalidInputError(message, errors=[{"field": "batch.value", "message": message}])


def _shown(row: BatchRow) -> dict[str, Any]:
    given = next((value for value in row.input.values() if isinstance(value, str)), "")
    text = str(row.error) if row.error is not None else (row.text or "")
    return {"number": row.number, "state": row.state, "input": given[:SHOWN_TEXT], "text": text[:SHOWN_TEXT]}


def _line(batch: Batch) -> str:
    stopped = sum(row.state == "cancelled" for row in batch.rows)
    line = f"{batch.finished - stopped} of {len(batch.rows)}"
    line += f" · {len(batch.failed)} failed" if batch.failed else ""
    return line + (f" · {stopped} stopped" if stopped else "")
