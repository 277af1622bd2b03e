"""Keys and values of beginnings that prompts share, kept for the next one that begins alike."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import count
from typing import TypeAlias

from mcnb.models.engine.row_cache import Block, RowCache

Key: TypeAlias = "tuple[int, tuple[int, ...]]"
"""Of a chunk: the number of the one before it, and its tokens; so equal keys mean equal beginnings, token for token."""

ROOT = 0


class Prefixes:
    """Chunks of prompts, the least recently used of which go first.

    Parameters
    ----------
    chunk : int
        Tokens of each.
    room : int
        Bytes they may take.
    """

    def __init__(self, chunk: int, room: int) -> None:
        self.chunk = chunk
        self.room = room
        self.memory = 0
        self._numbers = count(ROOT + 1)
        self._known: OrderedDict[Key, tuple[int, Block]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def find(self, parent: int, tokens: Sequence[int]) -> tuple[int, Block] | None:
        """Return the number and content of the chunk with these tokens behind another one."""
        key = parent, tuple(tokens)
        found = self._known.get(key)
        if found is not None:
            self._known.move_to_end(key)
        return found

    def keep(self, parent: int, tokens: Sequence[int], cache: RowCache, begin: int) -> int:
        """Keep a chunk that was just computed; return its number."""
        key = parent, tuple(tokens)
        if (known := self._known.get(key)) is not None:
            return known[0]
        block = cache.block(begin, begin + self.chunk)
        number = next(self._numbers)
        self._known[key] = number, block
        self.memory += block.memory
        while self.memory > self.room and self._known:
            _, (_, oldest) = self._known.popitem(last=False)
            self.memory -= oldest.memory
        return number

    def clear(self) -> None:
        """Forget them all."""
        self._known.clear()
        self.memory = 0
