"""Table: rows with named columns, for reading in a notebook or a terminal and for going on with pandas."""

from __future__ import annotations

import html
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, overload

from mcnb.errors import NotSupportedError

LONGEST_CELL = 80
"""Characters of a cell that are shown; the value itself is whole."""


class Table:
    """Rows of values under named columns.

    Parameters
    ----------
    columns : sequence of str
        The columns' names.
    rows : iterable of sequences
        One value for each column.
    empty : str
        What is shown in place of a table without rows.

    Raises
    ------
    ValueError
        When a row has more or fewer values than there are columns.

    Examples
    --------
    >>> table = Table(["model", "size"], [["tiny", 3]])
    >>> table[0]["size"]
    3
    >>> print(table)
    model  size
    tiny      3
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[Any]], empty: str = "nothing yet") -> None:
        self.columns = tuple(columns)
        self.empty = empty
        self._rows = [tuple(row) for row in rows]
        for row in self._rows:
            if len(row) != len(self.columns):
                raise ValueError(f"a row has {len(row)} values for {len(self.columns)} columns: {row!r}")

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (self._mapping(row) for row in self._rows)

    @overload
    def __getitem__(self, index: int) -> dict[str, Any]: ...

    @overload
    def __getitem__(self, index: slice) -> Table: ...

    def __getitem__(self, index: int | slice) -> dict[str, Any] | Table:
        if isinstance(index, slice):
            return Table(self.columns, self._rows[index], self.empty)
        return self._mapping(self._rows[index])

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return (self.columns, self._rows) == (other.columns, other._rows)

    __hash__ = None  # type: ignore[assignment]  # two tables with equal rows are equal

    def to_pandas(self) -> Any:
        """Return the rows as a pandas DataFrame.

        Raises
        ------
        NotSupportedError
            When pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped]
        except ImportError as error:
            raise NotSupportedError("a DataFrame needs pandas", hint="pip install pandas") from error
        return pandas.DataFrame(self._rows, columns=list(self.columns))

    def __repr__(self) -> str:
        if not self._rows:
            return self.empty
        cells = [list(self.columns), *([_cell(value) for value in row] for row in self._rows)]
        widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
        right = self._numeric()
        lines = ("  ".join(map(_padded, line, widths, right)).rstrip() for line in cells)
        return "\n".join(lines)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        return {"text/plain": repr(self), "text/html": self._html()}

    def _html(self) -> str:
        if not self._rows:
            return f"<p>{html.escape(self.empty)}</p>"
        sides = ["right" if right else "left" for right in self._numeric()]
        head = "".join(_tag("th", name, side, ' scope="col"') for name, side in zip(self.columns, sides, strict=True))
        body = "".join(
            f"<tr>{''.join(_tag('td', _cell(value), side) for value, side in zip(row, sides, strict=True))}</tr>"
            for row in self._rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"

    def _mapping(self, row: tuple[Any, ...]) -> dict[str, Any]:
        return dict(zip(self.columns, row, strict=True))

    def _numeric(self) -> list[bool]:
        """Whether each column holds numbers, which stand at the right."""
        found = []
        for column in zip(*self._rows, strict=True):
            values = [value for value in column if value is not None]
            found.append(bool(values) and all(isinstance(v, int | float) and not isinstance(v, bool) for v in values))
        return found


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if type(value) is float:  # a kind of number of its own knows how it is written
        return f"{value:.1f}"
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    text = " ".join(str(value).split())
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _width(text: str) -> int:
    """Return how many columns of a terminal a text takes; those of East Asia take two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else not unicodedata.combining(c) for c in text)


def _padded(text: str, width: int, right: bool) -> str:
    padding = " " * (width - _width(text))
    return padding + text if right else text + padding


def _tag(name: str, text: str, side: str, more: str = "") -> str:
    return f'<{name}{more} style="text-align: {side}">{html.escape(text)}</{name}>'
