"""Writing rows: CSV, JSONL and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

from mcnb.batch.columns import Column, Kind
from mcnb.errors import NotSupportedError
from mcnb.runtime.row_files import PIECE

Write: TypeAlias = Callable[[list[Any]], None]

_TOP = 1 << 63


@contextmanager
def writer(suffix: str, path: Path, columns: Sequence[Column]) -> Iterator[Write]:
    """Open a file for rows, and give what writes one.

    Parameters
    ----------
    suffix : str
        ``.csv``, ``.jsonl`` or ``.parquet``.
    path : Path
        The file.
    columns : sequence of Column
        Of each row, in order.

    Raises
    ------
    NotSupportedError
        For Parquet where pyarrow is not installed.
    """
    opened = {".csv": _csv, ".jsonl": _jsonl, ".parquet": _parquet}[suffix]
    with opened(path, columns) as write:
        yield write


def check_writable(suffix: str) -> None:
    """Make sure that such files can be written, before hours of work.

    Raises
    ------
    NotSupportedError
    """
    if suffix == ".parquet":
        _arrow()


@contextmanager
def _csv(path: Path, columns: Sequence[Column]) -> Iterator[Write]:
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)  # with its own line ends it quotes both kinds of them
        out.writerow([column.name for column in columns])

        def write(values: list[Any]) -> None:
            out.writerow([_text(value) for value in values])

        yield write


@contextmanager
def _jsonl(path: Path, columns: Sequence[Column]) -> Iterator[Write]:
    names = [column.name for column in columns]
    with path.open("w", encoding="utf-8") as file:

        def write(values: list[Any]) -> None:
            row = dict(zip(names, values, strict=True))
            file.write(json.dumps(row, ensure_ascii=False, default=str) + "\n")

        yield write


@contextmanager
def _parquet(path: Path, columns: Sequence[Column]) -> Iterator[Write]:
    arrow, parquet = _arrow()
    types: dict[Kind, Any] = {
        "integer": arrow.int64(),
        "number": arrow.float64(),
        "boolean": arrow.bool_(),
        "text": arrow.string(),
        "json": arrow.string(),
    }
    schema = arrow.schema([(column.name, types[column.kind]) for column in columns])
    held: list[list[Any]] = []
    with parquet.ParquetWriter(path, schema) as out:

        def press() -> None:
            cells = zip(*held, strict=True)
            arrays = [
                arrow.array([_fitting(column.kind, value) for value in values], types[column.kind])
                for column, values in zip(columns, cells, strict=True)
            ]
            out.write_table(arrow.Table.from_arrays(arrays, schema=schema))
            held.clear()

        def write(values: list[Any]) -> None:
            held.append(values)
            if len(held) >= PIECE:
                press()

        yield write
        if held:
            press()


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise NotSupportedError(
            "writing Parquet needs pyarrow, which is not installed", hint="pip install pyarrow, or write CSV or JSONL"
        ) from error
    return pyarrow, parquet


def _text(value: Any) -> str:
    """Write a value into a cell; nothing for what is not there."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _fitting(kind: Kind, value: Any) -> Any:
    """Return a value as its column holds it; None for one that does not fit, of which the text is in the journal."""
    if value is None:
        return None
    if kind in ("text", "json"):
        return _text(value)
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if kind == "integer":
        return int(value) if isinstance(value, int | float) and value == int(value) and -_TOP <= value < _TOP else None
    return float(value) if isinstance(value, int | float) else None
