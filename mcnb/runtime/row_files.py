"""Files of rows: CSV, JSONL and Parquet, read while one goes through them."""

from __future__ import annotations

import csv
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from mcnb.compose import Inputs, parse_text_value
from mcnb.errors import InvalidInputError, NotSupportedError
from mcnb.runtime.rows import Row, Rows, check_header

SUFFIXES = (".csv", ".jsonl", ".parquet")


PIECE = 1024
"""Rows of a Parquet file that are in memory at a time."""


def files_of(path: Path) -> list[Path]:
    """Return the files that a path means: itself, or those of a folder, by name.

    Names that begin with a dot or an underscore are no rows: other tools leave such files among theirs.

    Raises
    ------
    InvalidInputError
        When there are none, or one of them is no file of rows.
    """
    if not path.is_dir():
        return [path]
    try:
        found = sorted(item for item in path.iterdir() if item.name[0] not in "._")
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot read the folder: {error.strerror}") from error
    wrong = next((item for item in found if item.suffix.lower() not in SUFFIXES or not item.is_file()), None)
    if wrong is not None:
        hint = f"a folder of rows holds {', '.join(SUFFIXES)} files; begin other names with an underscore"
        raise InvalidInputError(f"{wrong}: not a file of rows", hint=hint)
    if not found:
        raise InvalidInputError(f"{path}: the folder has no {', '.join(SUFFIXES)} file")
    return found


def read_file(path: Path, inputs: Inputs, wanted: Collection[str] | None = None) -> Rows:
    """Read the rows of a file.

    Parameters
    ----------
    path : Path
        Its suffix says what it is: ``.csv``, ``.jsonl`` or ``.parquet``.
    inputs : Inputs
        Their types are those of the texts in a CSV file.
    wanted : collection of str, optional
        Columns of a Parquet file that are read; all of them when not given.

    Returns
    -------
    Rows
        The columns are read now, the rows later; going through them can raise InvalidInputError, with the line.

    Raises
    ------
    InvalidInputError
        When it cannot be read.
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
        return _parquet(path, wanted)
    return _csv(path, inputs) if kind == ".csv" else Rows(_jsonl(path))


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="" if path.suffix.lower() == ".csv" else None) as file:
            yield file
    except OSError as error:
        raise InvalidInputError(f"{path}: cannot read the file: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{path}: not UTF-8 text", hint="save it as UTF-8") from error


@contextmanager
def _csv_lines(path: Path) -> Iterator[Any]:
    with _opened(path) as file:
        reader = csv.reader(file, strict=True)
        try:
            yield reader
        except csv.Error as error:
            raise InvalidInputError(f"{path.name}:{reader.line_num}: not valid CSV: {error}") from error


def _csv(path: Path, inputs: Inputs) -> Rows:
    name = path.name
    with _csv_lines(path) as reader:
        header = next(reader, None)
    if header is None:
        raise InvalidInputError(f"{name}:1: the file is empty", hint="its first line names the inputs")
    if len(header) == 1 and header[0] not in inputs.names and any(mark in header[0] for mark in ";\t"):
        hint = "columns are separated by commas; save it that way"
        raise InvalidInputError(f"{name}:1: only one column, '{header[0]}'", hint=hint)
    columns = check_header(header, f"{name}:1")
    return Rows(_csv_rows(path, columns, inputs), columns, f"{name}:1")


def _csv_rows(path: Path, columns: tuple[str, ...], inputs: Inputs) -> Iterator[Row]:
    with _csv_lines(path) as reader:
        next(reader, None)
        line = reader.line_num + 1
        for cells in reader:
            if cells:
                yield _csv_row(f"{path.name}:{line}", columns, cells, inputs)
            line = reader.line_num + 1


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


def _jsonl(path: Path) -> Iterator[Row]:
    name = path.name
    with _opened(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise InvalidInputError(f"{name}:{number}:{error.colno}: not valid JSON: {error.msg}") from error
            except (ValueError, RecursionError) as error:
                message = f"{name}:{number}: not valid JSON: nested too deeply, or a number too long"
                raise InvalidInputError(message) from error
            yield Row(value, f"{name}:{number}")


def _parquet(path: Path, wanted: Collection[str] | None) -> Rows:
    with parquet_file(path) as file:
        columns = check_header(file.schema_arrow.names, path.name)
    chosen = None if wanted is None else [name for name in columns if name in wanted]
    return Rows(_parquet_rows(path, chosen), columns, path.name)


def _parquet_rows(path: Path, columns: list[str] | None) -> Iterator[Row]:
    with parquet_file(path) as file:
        for piece in file.iter_batches(PIECE, columns=columns):
            for row in piece.to_pylist():
                yield Row({name: value for name, value in row.items() if value is not None}, path.name)


@contextmanager
def parquet_file(path: Path) -> Iterator[Any]:
    """Open a Parquet file.

    Raises
    ------
    InvalidInputError
        When it is none, or damaged.
    NotSupportedError
        Where pyarrow is not installed.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise NotSupportedError(
            "Parquet needs pyarrow, which is not installed", hint="pip install pyarrow, or use CSV or JSONL"
        ) from error
    try:
        with parquet.ParquetFile(path) as file:
            yield file
    except (OSError, arrow.ArrowException) as error:
        raise InvalidInputError(f"{path}: not a readable Parquet file ({error})") from error
