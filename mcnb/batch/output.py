"""The output of a job: one row for each row of the input, in its order, written whole or not at all."""

from __future__ import annotations

import json
import mmap
import os
import struct
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mcnb.batch.columns import Column, columns_of, output_names
from mcnb.batch.journal import Journal
from mcnb.batch.source import Checked, Source
from mcnb.batch.writers import check_writable, writer
from mcnb.errors import DiskFullError, InvalidInputError
from mcnb.runtime.row_files import SUFFIXES

_PLACE = struct.Struct("<Q")


class Output:
    """Where the rows go.

    Parameters
    ----------
    path : str or Path
        A ``.csv``, ``.jsonl`` or ``.parquet`` file, or a folder, which gets a file for each file of the input.

    Attributes
    ----------
    path : Path
        As resolved.

    Raises
    ------
    InvalidInputError
        When nothing can be written there.
    """

    def __init__(self, path: str | Path) -> None:
        said = str(path)
        self.path = Path(path).expanduser().absolute()
        self.is_folder = self.path.is_dir() or said.endswith(("/", os.sep))
        if not self.is_folder and self.path.suffix.lower() not in SUFFIXES:
            hint = f"name a {', '.join(SUFFIXES)} file, or a folder with a slash behind it"
            raise InvalidInputError(f"{said}: not a file of rows", hint=hint)
        if not self.path.parent.is_dir():
            raise InvalidInputError(f"{said}: there is no folder {self.path.parent}")
        if self.path.exists() and not (self.path.is_file() or self.path.is_dir()):
            raise InvalidInputError(f"{said}: neither a file nor a folder")
        if not os.access(self.path.parent, os.W_OK):
            raise InvalidInputError(f"{said}: it cannot be written")

    def exists(self, source: Source) -> bool:
        """Whether there is an output for a source, which is then a whole one."""
        return all(path.exists() for path in self._files(source.names))

    def check(self, source: Source) -> None:
        """Make sure that the output can be written, and neither takes the place of the input nor becomes a part of it.

        Raises
        ------
        InvalidInputError
        NotSupportedError
            For Parquet where pyarrow is not installed.
        """
        for suffix in {path.suffix.lower() for path in self._files(source.names)}:
            check_writable(suffix)
        for path in source.files:
            absolute = path.absolute()
            if absolute in self._files(source.names) or (source.is_folder and absolute.parent == self.path.parent):
                hint = "give the output a place of its own"
                raise InvalidInputError(f"{self.path}: the output would stand among the input", hint=hint)

    def _files(self, names: Sequence[str]) -> list[Path]:
        if not self.is_folder:
            return [self.path]
        return [self.path / (name if Path(name).suffix else f"{name}.jsonl") for name in names]

    def write(self, source: Source, checked: Checked, journal: Journal) -> None:
        """Write all rows.

        Parameters
        ----------
        source : Source
            The input, read once more for the rows' own columns.
        checked : Checked
            How many rows there are.
        journal : Journal
            Has a result for each.

        Raises
        ------
        DiskFullError
            When there is no room; what was there before stays.
        """
        columns = columns_of(source, checked, output_names(journal, checked.columns))
        counts = [count for _, count in checked.parts] if self.is_folder else [checked.rows]
        try:
            with _places(journal, checked.rows, self.path.parent) as found:
                rows = _joined(source, journal, found, columns)
                for path, count in zip(self._files([name for name, _ in checked.parts]), counts, strict=True):
                    path.parent.mkdir(exist_ok=True)
                    _write(path, columns, rows, count)
        except OSError as error:
            raise DiskFullError(
                f"{self.path}: the output cannot be written ({error.strerror})",
                hint="make room, and go on with --resume: all rows are kept",
            ) from error


def _write(path: Path, columns: Sequence[Column], rows: Iterator[list[Any]], count: int) -> None:
    """Write a file beside its place, and put it there when it is whole."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with writer(path.suffix.lower(), scratch, columns) as write:
            for _ in range(count):
                write(next(rows))
        with scratch.open("rb") as file:
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _joined(source: Source, journal: Journal, places: mmap.mmap, columns: Sequence[Column]) -> Iterator[list[Any]]:
    """Yield the values of each row: those of the input and those of its result."""
    with journal.reader() as lines:
        for row in source.rows():
            place = _PLACE.unpack_from(places, row.number * _PLACE.size)[0]
            if not place:
                raise InvalidInputError(f"row {row.number:,} has no result", hint="go on with --resume")
            lines.seek(place)
            result = json.loads(lines.readline())
            own: Mapping[str, Any] = {**row.others, **row.input}
            yield [column.value(own, result) for column in columns]


@contextmanager
def _places(journal: Journal, rows: int, folder: Path) -> Iterator[mmap.mmap]:
    """Give where in the journal the result of each row stands: on disk, for there may be more than memory holds.

    Of a row that was tried again, the last one counts. No result stands at 0, where the header is.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate((rows + 1) * _PLACE.size)
        with mmap.mmap(file.fileno(), 0) as places:
            for place, result in journal.results():
                if result["row"] <= rows:
                    _PLACE.pack_into(places, result["row"] * _PLACE.size, place)
            yield places
