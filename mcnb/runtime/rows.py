"""The rows of a batch: read from what a caller holds or from a file, and checked before anything starts."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

from mcnb.compose import Inputs, check_input
from mcnb.compose.suggest import listed, suggestion
from mcnb.errors import InvalidInputError

TOLD = 20
"""Different faults that a message names."""

TOLD_ROWS = 3
"""Rows that are named for each of them."""

KEPT_FAULTS = 10_000
"""Faults that are remembered: a file of millions of wrong rows must fit into memory too."""

Source: TypeAlias = "str | os.PathLike[str] | Iterable[Any]"
"""A path, a list, a column or a table."""


@dataclass
class Row:
    """One row as read.

    Attributes
    ----------
    value : Any
        A mapping of inputs, or one value for the only input.
    place : str
        Where it stands in a file: ``topics.csv:4``.
    wrong : InvalidInputError or None
        Why it could not be read.
    """

    value: Any
    place: str = ""
    wrong: InvalidInputError | None = None


@dataclass
class Rows:
    """All rows as read.

    Attributes
    ----------
    rows : iterable of Row
        In order. Those of a file are read while one goes through them, once.
    columns : tuple of str
        Of a table.
    place : str
        Where a table's columns are named.
    """

    rows: Iterable[Row] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    place: str = ""


def read_rows(source: Source, inputs: Inputs) -> list[dict[str, Any]]:
    """Read the rows of a batch and check them.

    Parameters
    ----------
    source : path, list, pandas.Series or pandas.DataFrame
        A CSV, JSONL or Parquet file, or a folder of them; a list of mappings; a list or column of values for the only
        input.
    inputs : Inputs
        What the workflow asks for.

    Returns
    -------
    list of dict
        One checked input for each row. What a table leaves empty is not given.

    Raises
    ------
    InvalidInputError
        With everything that is wrong, by row number (from 1) and field; of a file also its line.
    """
    faults = Faults()
    checked = []
    number = 0
    for found in _parts(source, inputs):
        check_columns(found, inputs)
        for row in found.rows:
            number += 1
            try:
                checked.append(check_row(row, inputs))
            except InvalidInputError as error:
                faults.add(number, row.place, error)
    faults.tell()
    return checked


def check_row(row: Row, inputs: Inputs) -> dict[str, Any]:
    """Return the checked input of a row.

    Raises
    ------
    InvalidInputError
        With everything that is wrong with it.
    """
    if row.wrong is not None:
        raise row.wrong
    return check_input(inputs, _as_mapping(row.value, inputs))


def is_path(source: Source) -> bool:
    """Whether rows are read from disk."""
    return isinstance(source, str | os.PathLike)


def path_of(source: str | os.PathLike[str]) -> Path:
    """Return a path as given by a user.

    Raises
    ------
    InvalidInputError
        For the home folder of nobody.
    """
    try:
        return Path(source).expanduser()
    except RuntimeError as error:  # ~somebody
        raise InvalidInputError(f"{source}: there is no such home folder") from error


def _parts(source: Source, inputs: Inputs) -> Iterator[Rows]:
    """Yield the rows of each file, or those that a caller holds."""
    if isinstance(source, str | os.PathLike):
        from mcnb.runtime.row_files import files_of, read_file

        for path in files_of(path_of(source)):
            yield read_file(path, inputs)
    else:
        yield held_rows(source, inputs)


def held_rows(source: Any, inputs: Inputs) -> Rows:
    """Return the rows that a caller holds: a list, a column, a table.

    Raises
    ------
    InvalidInputError
        When it is none of them.
    """
    if isinstance(source, Mapping):
        raise InvalidInputError("rows have to be a list, a table or a file; a mapping is one row", hint="write [{...}]")
    if hasattr(source, "columns") and hasattr(source, "itertuples"):
        return _of_frame(source)
    if hasattr(source, "tolist") and hasattr(source, "name"):  # a column; its name may be that of an input
        values = [_given(value) for value in source.tolist()]
        if source.name in inputs.names:
            return Rows([Row({source.name: value}) for value in values])
        return Rows([Row(value) for value in values])
    if hasattr(source, "tolist"):
        source = source.tolist()
    if not isinstance(source, Iterable) or isinstance(source, bytes):
        raise InvalidInputError(f"rows have to be a list, a table or a file, got {type(source).__name__}")
    return Rows([Row(value) for value in source])


def _of_frame(frame: Any) -> Rows:
    columns = check_header([str(name) for name in frame.columns], "the table")
    rows = []
    for values in frame.itertuples(index=False, name=None):
        given = {name: _given(value) for name, value in zip(columns, values, strict=True)}
        rows.append(Row({name: value for name, value in given.items() if value is not None}))
    return Rows(rows, columns, "the table")


def _given(value: Any) -> Any:
    """Return a cell's value; None for what pandas calls missing (not a number, NaT, NA)."""
    if value is None or isinstance(value, str | bool | int | list | tuple | Mapping):
        return value
    if type(value).__name__ in ("NAType", "NaTType") or (isinstance(value, float) and value != value):
        return None
    return value


def check_header(names: Sequence[str], place: str) -> tuple[str, ...]:
    """Check the names of a table's columns.

    Raises
    ------
    InvalidInputError
        When one is empty or stands twice.
    """
    for number, name in enumerate(names):
        if not name.strip():
            raise InvalidInputError(f"{place}: column {number + 1} has no name")
        if name in names[:number]:
            raise InvalidInputError(f"{place}: the column '{name}' stands twice")
    return tuple(names)


def check_columns(found: Rows, inputs: Inputs, others: Collection[str] = ()) -> None:
    """Check that the columns of a table are inputs of the workflow, or among others that are wanted.

    Raises
    ------
    InvalidInputError
        With those that are not.
    """
    if inputs.open:
        return
    unknown = [name for name in found.columns if name not in inputs.names and name not in others]
    messages = [
        f"there is no input '{name}'; {suggestion(name, inputs.names, otherwise='this workflow takes no input')}"
        for name in unknown[:TOLD]
    ]
    if messages:
        errors = [{"field": name, "message": message} for name, message in zip(unknown, messages, strict=False)]
        raise InvalidInputError(f"{found.place}: {'; '.join(messages)}", errors=errors)


def _as_mapping(value: Any, inputs: Inputs) -> Mapping[Any, Any]:
    if isinstance(value, Mapping):
        return value
    texts = [item.name for item in inputs if item.required and item.type.name in ("text", "string", "stream")]
    names = texts if len(texts) == 1 else list(inputs.names)
    if len(names) != 1:
        asked = listed(inputs.names) if inputs.names else "this workflow takes no input"
        raise InvalidInputError(f"one value is not enough: give a mapping of inputs ({asked})")
    return {names[0]: value}


class Faults:
    """What is wrong with rows: the same of many rows is told once."""

    def __init__(self) -> None:
        self._found: dict[str, _Found] = {}
        self._errors: list[dict[str, str]] = []

    def add(self, number: int, place: str, error: InvalidInputError) -> None:
        """Note what is wrong with a row."""
        for found in error.errors or ({"field": "", "message": error.message},):
            if len(self._errors) < KEPT_FAULTS:
                self._errors.append({**found, "row": str(number)})
                self._found.setdefault(found["message"], _Found())
            if found["message"] in self._found:
                self._found[found["message"]].add(f"{number:,} ({place})" if place else f"{number:,}")

    def tell(self) -> None:
        """Raise InvalidInputError with all of it, if there is any."""
        if not self._found:
            return
        lines = [f"{found}: {message}" for message, found in self._found.items()]
        if len(lines) > TOLD:
            lines = [*lines[:TOLD], f"and {len(lines) - TOLD:,} more"]
        raise InvalidInputError("; ".join(lines), errors=self._errors)


@dataclass
class _Found:
    """Where a fault was found: how often, and the first places."""

    count: int = 0
    places: list[str] = field(default_factory=list)

    def add(self, place: str) -> None:
        self.count += 1
        if self.count <= TOLD_ROWS:
            self.places.append(place)

    def __str__(self) -> str:
        more = f" and {self.count - TOLD_ROWS:,} more" if self.count > TOLD_ROWS else ""
        return f"{'row' if self.count == 1 else 'rows'} {', '.join(self.places)}{more}"
