"""Files of rows: CSV, JSONL and Parquet."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mcnb.compose import Inputs, parse_text_value
from mcnb.errors import InvalidInputError, NotSupportedError
from mcnb.runtime.rows import Row, Rows, check_header

SUFFIXES = (".csv", ".jsonl", ".parquet")


def read_file(path: Path, inputs: Inputs) -> Rows:
    """Read the rows of a file.

    Parameters
    ----------
    path : Path
        Its suffix says what it is: ``.csv``, ``.jsonl`` or ``.parquet``.
    inputs : Inputs
        Their types are those of the texts in a CSV file.

    Raises
    ------
    InvalidInputError
        When it cannot be read, with the line.
    NotSupportedError
        For Parquet where pyarrow is not installed.
    """
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        hint = f"the rows of a batch come from a {', '.join(SUFFIXES)} file; texts alone go into a list"
        raise InvalidInputError(f"{path}: not a file of rows", hint=hint)
    if not path.is_file():
        raise InvalidInputError(f"{path}: there is no such file", hint="a list of one text is ['...']")
    if kind == ".parquet":
        return _parquet(path)
    with _opened(path) as file:
        return _csv(path.name, file, inputs) if kind == ".csv" else _jsonl(path.name, file)


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="" if path.suffix.lower() == ".csv" else None) as file:
            yield file
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot read the file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: not UTF-8 text", hint="save it as UTF-8") from error


def _csv(name: str, file: IO[str], inputs: Inputs) -> Rows:
    reader = csv.reader(file, strict=True)
    found = Rows(place=f"{name}:1")
    try:
        header = next(reader, None)
        if header is None:
            raise InvalidInputError(f"{name}:1: the file is empty", hint="its first line names the inputs")
        if len(header) == 1 and header[0] not in inputs.names and any(mark in header[0] for mark in ";\t"):
            hint = "columns are separated by commas; save it that way"
            raise InvalidInputError(f"{found.place}: only one column, '{header[0]}'", hint=hint)
        found.columns = check_header(header, found.place)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                found.rows.append(_csv_row(f"{name}:{line}", found.columns, cells, inputs))
            line = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInputError(f"{name}:{reader.line_num}: not valid CSV: {error}") from error
    return found


def _csv_row(place: str, columns: tuple[str, ...], cells: list[str], inputs: Inputs) -> Row:
    if len(cells) != len(columns):
        message = f"the columns are {len(columns)}, its values {len(cells)}"
        return Row(None, place, InvalidInputError(message, hint="quote values that hold a comma"))
    values: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for column, cell in zip(columns, cells, strict=True):
        if not cell:  # left empty is not given, as in a spreadsheet
            continue
        try:
            values[column] = parse_text_value(inputs, column, cell)
        except InvalidInputError as error:
            errors.extend(error.errors)
    wrong = InvalidInputError("; ".join(error["message"] for error in errors), errors=errors) if errors else None
    return Row(values, place, wrong)


def _jsonl(name: str, file: IO[str]) -> Rows:
    found = Rows()
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            found.rows.append(Row(json.loads(line), f"{name}:{number}"))
        except json.JSONDecodeError as error:
            raise InvalidInputError(f"{name}:{number}:{error.colno}: not valid JSON: {error.msg}") from error
        except (ValueError, RecursionError) as error:
            message = f"{name}:{number}: not valid JSON: nested too deeply, or a number too long"
            raise InvalidInputError(message) from error
    return found


def _parquet(path: Path) -> Rows:
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise NotSupportedError(
            "reading Parquet needs pyarrow, which is not installed", hint="pip install pyarrow, or use CSV or JSONL"
        ) from error
    try:
        table = parquet.read_table(path)
    except (OSError, arrow.ArrowException) as error:
        raise InvalidInputError(f"{path}: not a readable Parquet file ({error})") from error
    columns = check_header(table.column_names, path.name)
    rows = [
        Row({name: value for name, value in row.items() if value is not None}, path.name) for row in table.to_pylist()
    ]
    return Rows(rows, columns, path.name)
