"""Keys and values of sequences that grow, those of like length in one block of memory: a slab.

Attention of many sequences is computed in one call where their keys and values stand one behind the other in one tensor
of one shape. Sequences have different lengths, so a slab has room for the longest, and what lies behind a sequence's
end is hidden by a mask. How much room that is follows from the sequence's own length and from nothing else: so its
arithmetic is the same in any company.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from mcnb.models.engine.row_cache import RowCache

ROOMS = (64, 128, 256, 512, 1024)
"""Tokens of a row, by slab. Longer sequences keep to themselves: what they take is the arithmetic, not the call."""


def room_for(tokens: int) -> int | None:
    """Return the room in which so many tokens stand; None for more than a slab has."""
    return next((room for room in ROOMS if room >= tokens), None)


class Slab:
    """Sequences of like length: the keys and values of each are one row of it.

    Parameters
    ----------
    room : int
        Tokens of a row.

    Attributes
    ----------
    caches : list
        Whose keys and values are in the rows; None for those that have left since the slab was last tidied.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self.caches: list[RowCache | None] = []
        self._layers: dict[int, tuple[Any, Any]] = {}

    @property
    def bytes_per_row(self) -> int:
        """Bytes of a row."""
        return sum(tensor[0].nbytes for pair in self._layers.values() for tensor in pair)

    def layers(self) -> dict[int, tuple[Any, Any]]:
        """Return keys and values by layer, each of shape (rows or more, key/value heads, room, head size)."""
        return self._layers

    def enter(self, caches: Sequence[RowCache]) -> None:
        """Take over what caches hold."""
        first = len(self.caches)
        held = [cache.layers() for cache in caches]
        for number, like in held[0].items():
            all_rows = self._roomy(number, first + len(caches), like)
            for slot, layers in enumerate(held, first):
                for mine, its in zip(all_rows, layers[number], strict=True):
                    mine[slot, :, : its.shape[2]] = its[0]
        for slot, cache in enumerate(caches, first):
            cache.move_to(self, slot)
        self.caches += caches

    def _roomy(self, number: int, rows: int, like: tuple[Any, Any]) -> tuple[Any, Any]:
        """Return keys and values of a layer, with no fewer rows than wanted."""
        known = self._layers.get(number)
        if known is None or len(known[0]) < rows:
            rows = max(rows, len(self.caches) + len(self.caches) // 2)
            # zeros: what a mask hides is multiplied all the same, and nothing times infinity is not nothing
            more = tuple(one.new_zeros(rows, one.shape[1], self.room, one.shape[3]) for one in like)
            for new, old in zip(more, known or (), strict=False):
                new[: len(self.caches)] = old[: len(self.caches)]
            known = self._layers[number] = more[0], more[1]
        return known

    def leave(self, slot: int) -> None:
        """Let go of a row."""
        self.caches[slot] = None

    def tidy(self) -> None:
        """Let the last rows move up to where others have left, so that all rows are in use."""
        left = [slot for slot, cache in enumerate(self.caches) if cache is None]
        if len(left) == len(self.caches):
            self.caches.clear()
            self._layers.clear()
            return
        for slot in left:
            while self.caches and self.caches[-1] is None:
                self._drop_last()
            if slot >= len(self.caches):
                return
            last = self.caches[-1]
            for pair in self._layers.values():
                for tensor in pair:
                    tensor[slot] = tensor[len(self.caches) - 1]
            self.caches[slot] = last
            if last is not None:
                last.move_to(self, slot)
            self._drop_last()

    def _drop_last(self) -> None:
        self.caches.pop()
        for pair in self._layers.values():
            for tensor in pair:
                tensor[len(self.caches)] = 0  # also an infinity that a broken model left


class Slabs:
    """The slabs of a model.

    Parameters
    ----------
    query_tile : int
        Attention is asked for a multiple of so many queries at each key.
    """

    def __init__(self, query_tile: int) -> None:
        self.query_tile = query_tile
        self._slabs: dict[int, Slab] = {}
        self.clear()

    def place(self, ends: Iterable[tuple[RowCache, int]]) -> None:
        """See to it that sequences can grow up to a token: in the slab of that length, or for themselves."""
        entering: dict[int, list[RowCache]] = {}
        for cache, end in ends:
            room = room_for(end)
            if room is None:
                cache.move_out()
            elif cache.slab is None or cache.slab.room < room:
                entering.setdefault(room, []).append(cache)
        for room, caches in entering.items():
            self._slabs[room].enter(caches)

    def tidy(self) -> None:
        """Close the gaps in all slabs."""
        import torch

        with torch.inference_mode():
            for slab in self._slabs.values():
                if None in slab.caches:
                    slab.tidy()

    def clear(self) -> None:
        """Forget all sequences."""
        self._slabs = {room: Slab(room) for room in ROOMS}
