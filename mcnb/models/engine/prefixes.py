"""Keys and values of beginnings that prompts share, kept for the next one that begins alike.

A chunk is of use only with all those before it. So the last one of a prompt counts as used the longest ago, and the
first one as used just now: what leaves first is never what others stand on.
"""

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
        return self._known.get((parent, tuple(tokens)))

    def use(self, chain: Sequence[Key]) -> None:
        """Note that the chunks of a prompt, from its beginning on, are in use."""
        for key in reversed(chain):
            if key in self._known:
                self._known.move_to_end(key)

    def keep(self, chain: Sequence[Key], cache: RowCache, begin: int) -> int:
        """Keep the last chunk of a prompt so far, which was just computed; return its number."""
        known = self._known.get(chain[-1])
        if known is None:
            block = cache.block(begin, begin + self.chunk)
            known = self._known[chain[-1]] = next(self._numbers), block
            self.memory += block.memory
        self.use(chain)
        while self.memory > self.room and self._known:
            _, (_, oldest) = self._known.popitem(last=False)
            self.memory -= oldest.memory
        return known[0]

    def clear(self) -> None:
        """Forget them all."""
        self._known.clear()
        self.memory = 0
