"""Source: the rows a job reads, one after the other, as often as it needs them; never all at once."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections.abc import Callable, Collection, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.compose import Inputs
from mcnb.errors import InvalidInputError
from mcnb.runtime.row_files import files_of, read_file
from mcnb.runtime.rows import TOLD_ROWS, Faults, Row, Rows, check_columns, check_row, held_rows, is_path, path_of
from mcnb.runtime.rows import Source as Given

OFTEN = 1000
"""Rows after which a pass tells how far it is."""

_BLOCK = 1 << 20

_HELD = "rows"


@dataclass(frozen=True)
class SourceRow:
    """A row that was checked.

    Attributes
    ----------
    number : int
        From 1, over all files.
    key : int or str
        Its number, or what the key's column says.
    input : dict
        Of the workflow.
    others : mapping
        The columns that are no inputs and go into the output.
    """

    number: int
    key: int | str
    input: dict[str, Any]
    others: Mapping[str, Any]


@dataclass(frozen=True)
class Checked:
    """What a pass over all rows found.

    Attributes
    ----------
    parts : tuple of (str, int)
        The files' names and how many rows each has; of rows that are no file, ``rows``.
    columns : tuple of str
        The inputs and other columns that rows have, in order.
    """

    parts: tuple[tuple[str, int], ...]
    columns: tuple[str, ...]

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return sum(count for _, count in self.parts)


class Source:
    """The rows of a job.

    Parameters
    ----------
    given : path, list, pandas.Series or pandas.DataFrame
        As in ``Compose.batch``.
    inputs : Inputs
        What the workflow asks for.
    key : str, optional
        The column that says by what a row is known.
    keep : collection of str
        Columns that are no inputs and go into the output.
    drop : collection of str
        Columns that are no inputs and are of no interest.

    Attributes
    ----------
    files : list of Path
        None where the rows are held by the caller.
    is_folder : bool
        Whether the caller named the folder they are in.

    Raises
    ------
    InvalidInputError
        When there is nothing to read, or a column is no input.
    """

    def __init__(
        self,
        given: Given,
        inputs: Inputs,
        *,
        key: str | None = None,
        keep: Collection[str] = (),
        drop: Collection[str] = (),
    ) -> None:
        self.inputs = inputs
        self.key = key
        self.keep = tuple(dict.fromkeys([*keep, *([key] if key and key not in inputs.names else [])]))
        self.drop = tuple(name for name in drop if name not in self.keep)
        self.files = files_of(path_of(given)) if is_path(given) else []  # type: ignore[arg-type]
        self.is_folder = len(self.files) > 0 and path_of(given).is_dir()  # type: ignore[arg-type]
        self._held: list[Row] = []
        self._columns: tuple[str, ...] = ()
        if not self.files:
            held = held_rows(given, inputs)
            check_columns(held, inputs, (*self.keep, *self.drop))
            self._held, self._columns = list(held.rows), held.columns
        for path in self.files:
            check_columns(self._opened(path), inputs, (*self.keep, *self.drop))

    @property
    def names(self) -> list[str]:
        """The files' names; ``rows`` where there is none."""
        return [path.name for path in self.files] or [_HELD]

    def check(self, tell: Callable[[int], None] = lambda rows: None) -> Checked:
        """Go through all rows, and make sure that each fits the workflow and no key stands twice.

        Parameters
        ----------
        tell : callable
            Called now and then with how many rows were checked.

        Raises
        ------
        InvalidInputError
            With everything that is wrong, by row number and field.
        """
        faults, keys, number = Faults(), _Keys(), 0
        parts: list[tuple[str, int]] = []
        columns = dict.fromkeys(self._columns)
        for name, found in self._parts():
            before = number
            columns.update(dict.fromkeys(found.columns))
            for row in found.rows:
                number += 1
                try:
                    made = self._row(number, row)
                except InvalidInputError as error:
                    faults.add(number, row.place, error)
                    continue
                columns.update(dict.fromkeys(made.input))
                columns.update(dict.fromkeys(made.others))
                if self.key is not None:
                    keys.add(made.key)
                if number % OFTEN == 0:
                    tell(number)
            parts.append((name, number - before))
        faults.tell()
        if self.key is not None and keys.are_doubtful:
            self._tell_doubles(keys)
        named = [name for name in (*self.inputs.names, *self.keep) if name in columns]
        order = list(self._columns) or named
        return Checked(tuple(parts), tuple(name for name in dict.fromkeys([*order, *columns]) if name not in self.drop))

    def digest(self) -> str:
        """Return the SHA-256 of the files, names included; of rows that a caller holds, of their values."""
        found = hashlib.sha256()
        for path in self.files:
            found.update(f"{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    found.update(block)
        for row in self._held:
            found.update(json.dumps(row.value, default=str, sort_keys=True).encode("utf-8", "surrogatepass"))
        return found.hexdigest()

    def rows(self, after: int = 0) -> Generator[SourceRow, None, None]:
        """Yield the rows behind a number, which have to be such that ``check`` has nothing to say.

        Raises
        ------
        InvalidInputError
            When they are not: the file was changed meanwhile.
        """
        number = 0
        for _, found in self._parts():
            for row in found.rows:
                number += 1
                if number > after:
                    yield self._row(number, row)

    def _parts(self) -> Iterator[tuple[str, Rows]]:
        if not self.files:
            yield _HELD, Rows(self._held, self._columns)
        for path in self.files:
            yield path.name, self._opened(path)

    def _opened(self, path: Path) -> Rows:
        wanted = None if self.inputs.open else {*self.inputs.names, *self.keep}
        return read_file(path, self.inputs, wanted)

    def _row(self, number: int, row: Row) -> SourceRow:
        value, others = row.value, {}
        if isinstance(value, Mapping) and (self.keep or self.drop):
            aside = {*self.keep, *self.drop}.difference(self.inputs.names)
            others = {name: value[name] for name in self.keep if name in value and name in aside}
            value = {name: item for name, item in value.items() if name not in aside}
        made = check_row(Row(value, row.place, row.wrong), self.inputs)
        return SourceRow(number, self._key(number, made, others), made, others)

    def _key(self, number: int, made: Mapping[str, Any], others: Mapping[str, Any]) -> int | str:
        if self.key is None:
            return number
        value = made.get(self.key, others.get(self.key))
        if value is None or not str(value):
            message = f"the key '{self.key}' is missing"
            raise InvalidInputError(message, errors=[{"field": self.key, "message": message}])
        return str(value)

    def _tell_doubles(self, keys: _Keys) -> None:
        """Name the keys that stand twice: two of different keys may have one fingerprint."""
        seen: dict[str, list[int]] = {}
        for row in self.rows():
            if keys.is_doubtful(row.key):
                seen.setdefault(str(row.key), []).append(row.number)
        faults = Faults()
        for key, numbers in seen.items():
            for number in numbers if len(numbers) > 1 else []:
                message = f"the key '{key}' stands {len(numbers)} times"
                faults.add(number, "", InvalidInputError(message))
            if len(numbers) > TOLD_ROWS * OFTEN:
                break
        faults.tell()


class _Keys:
    """The keys seen so far: eight bytes of each."""

    def __init__(self) -> None:
        self._prints = array("Q")
        self._doubtful: set[int] | None = None

    def add(self, key: int | str) -> None:
        self._prints.append(_print(key))

    @property
    def are_doubtful(self) -> bool:
        if self._doubtful is None:
            import numpy

            found = numpy.sort(numpy.frombuffer(self._prints, dtype=numpy.uint64)) if self._prints else numpy.empty(0)
            self._doubtful = set(map(int, found[1:][found[1:] == found[:-1]]))
        return bool(self._doubtful)

    def is_doubtful(self, key: int | str) -> bool:
        return _print(key) in (self._doubtful or ())


def _print(key: int | str) -> int:
    return int.from_bytes(hashlib.blake2b(str(key).encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
