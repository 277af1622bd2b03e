"""Items: the rows that are still to be computed, one after the other or in pieces."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from mcnb.batch.journal import Journal
from mcnb.batch.source import Source, SourceRow
from mcnb.batch.task import Item

MOST_PIECES = 4000
"""A longer input is cut into larger pieces, so that there are never more than so many."""


class Pieces(Protocol):
    """Rows that are to be computed, in pieces."""

    def cut(self, size: int) -> list[int]:
        """Cut the rows into pieces of about `size`, and return the numbers of those that are not done."""

    def piece(self, number: int) -> list[Item]:
        """Return what is not done of a piece."""


class Items:
    """The rows of a source that a journal does not have.

    Parameters
    ----------
    source : Source
        It was checked.
    total : int
        How many rows it has.
    journal : Journal
        What is done.
    """

    def __init__(self, source: Source, total: int, journal: Journal) -> None:
        self._source = source
        self._journal = journal
        self.total = total
        self.size = 1
        self._reading = source.rows()
        self._next = 1
        self._ahead: dict[int, list[Item]] = {}

    def __iter__(self) -> Iterator[Item]:
        self._reading = self._source.rows()
        for row in self._reading:
            if not self._journal.is_done(row.number):
                yield Item(row.number, row.key, row.input)

    def close(self) -> None:
        """Close the files that are open: an interrupt leaves them so, in the middle."""
        self._reading.close()

    def cut(self, size: int) -> list[int]:
        """Cut the input into pieces of about `size` rows, and return the numbers of those that are not done."""
        times = max(1, -(-self.total // (size * MOST_PIECES)))
        self.size = size * times
        self._reading, self._next, self._ahead = self._source.rows(), 1, {}
        return [piece for piece in range(-(-self.total // self.size)) if not self._is_done(piece)]

    def piece(self, number: int) -> list[Item]:
        """Return what is not done of a piece. Asked for in about their order, each row is read once.

        One that is asked for again, because a machine was lost with it, is read again from the beginning of the input.
        """
        if number in self._ahead:
            return self._ahead.pop(number)
        first = number * self.size + 1
        if first < self._next:
            return self._read(self._source.rows(after=first - 1), first)
        while self._next < first:  # of another reader, which is about to ask
            ahead = (self._next - 1) // self.size
            found = self._read(self._reading, self._next)
            self._next += self.size
            if found:
                self._ahead[ahead] = found
        self._next += self.size
        return self._read(self._reading, first)

    def _read(self, rows: Iterable[SourceRow], first: int) -> list[Item]:
        last = first + self.size - 1
        found = []
        for row in rows:
            if not self._journal.is_done(row.number):
                found.append(Item(row.number, row.key, row.input))
            if row.number == last:
                break
        return found

    def _is_done(self, piece: int) -> bool:
        first = piece * self.size + 1
        numbers = range(first, min(first + self.size, self.total + 1))
        return all(map(self._journal.is_done, numbers))
