"""Attention of sequences that grow by one token each, in one call for those whose keys and values are in one slab."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mcnb.models.engine.slabs import Slab, Slabs, room_for

if TYPE_CHECKING:
    from mcnb.models.engine.attention import Segment


@dataclass
class _Call:
    """The tokens of one slab that are attended to in one call.

    Attributes
    ----------
    slab : Slab
        Whose.
    tokens : list of int
        Which of the pass, by row; where a row has none, that of another one.
    rows : list of int
        The rows that have one.
    ends : list of int
        By row: how many of its keys are seen.
    """

    slab: Slab
    tokens: list[int]
    rows: list[int]
    ends: list[int]

    @property
    def is_full(self) -> bool:
        """Whether every row has a token."""
        return len(self.rows) == len(self.tokens)

    @property
    def begins(self) -> list[int]:
        """By row that has a token: where its key and value are written."""
        return [self.ends[row] - 1 for row in self.rows]


class SlabAttention:
    """Attends for the growing sequences of a pass.

    Which of them are computed in one call changes nothing: it is used where a trial has shown that every row of such a
    call is what it is in a call of its own.

    Parameters
    ----------
    segments : sequence of Segment
        Of one token each.
    slabs : Slabs
        Where their keys and values are put.
    """

    def __init__(self, segments: Sequence[Segment], slabs: Slabs) -> None:
        self._segments = segments
        self._tile = slabs.query_tile
        slabs.tidy()
        ends = {id(one.cache): (one.cache, one.end) for one in segments if one.cache}  # guesses follow their sequence
        slabs.place(ends.values())
        self._apart = list(range(len(segments)))
        self._calls = list(self._found_calls())
        self._made: dict[Any, Any] = {}

    def _found_calls(self) -> list[_Call]:
        found: dict[int, dict[int, int]] = {}
        slabs: dict[int, Slab] = {}
        begun: set[int] = set()
        for number, segment in enumerate(self._segments):
            cache = segment.cache
            if cache is None or id(cache) in begun:
                continue  # a guess: what it looks back at is written first
            begun.add(id(cache))
            if cache.slab is not None and cache.slab.room == room_for(segment.end):
                slabs[cache.slab.room] = cache.slab
                found.setdefault(cache.slab.room, {})[cache.slot] = number
        calls = []
        for room, tokens in found.items():
            count = len(slabs[room].caches)
            if len(tokens) > 1 and 2 * len(tokens) >= count:  # else most of the call would be for nothing
                some = next(iter(tokens.values()))
                by_row = [tokens.get(row, some) for row in range(count)]
                ends = [self._segments[token].end for token in by_row]
                calls.append(_Call(slabs[room], by_row, sorted(tokens), ends))
                self._apart = [number for number in self._apart if number not in set(tokens.values())]
        return calls

    def attend(self, layer: int, query: Any, key: Any, value: Any, scaling: float | None, window: int | None) -> Any:
        """Write the tokens' keys and values, and attend to all up to them.

        Parameters
        ----------
        layer : int
            Which.
        query, key, value : torch.Tensor
            Of shape (1, heads, tokens, head size).
        scaling : float, optional
            Of the scores.
        window : int, optional
            How many of the last tokens are seen.

        Returns
        -------
        torch.Tensor
            Of shape (1, tokens, heads, head size).
        """
        import torch

        heads = key.shape[1]
        each = query.shape[1] // heads
        queries = query[0].transpose(0, 1).unflatten(1, (heads, each))
        if each % self._tile:
            queries = torch.nn.functional.pad(queries, (0, 0, 0, -each % self._tile))
        keys, values = key[0].transpose(0, 1), value[0].transpose(0, 1)
        whole = not self._apart and len(self._calls) == 1 and self._calls[0].is_full
        if whole and self._calls[0].tokens == list(range(len(self._segments))):
            found = self._together(self._calls[0], layer, queries, keys, values, scaling, window)
            return found[:, :, :each].reshape(1, len(found), query.shape[1], -1)
        found = query.new_empty(len(self._segments), heads, queries.shape[2], value.shape[3])
        for number, call in enumerate(self._calls):
            tokens = self._tensor(("tokens", number), call.tokens, query.device)
            here = self._together(call, layer, queries[tokens], keys[tokens], values[tokens], scaling, window)
            if call.is_full:
                found[tokens] = here
            else:
                rows = self._tensor(("rows", number), call.rows, query.device)
                found[tokens[rows]] = here[rows]
        for number in self._apart:
            one = slice(number, number + 1)
            found[one] = self._alone(
                layer, self._segments[number], queries[one], keys[one], values[one], scaling, window
            )
        return found[:, :, :each].reshape(1, len(found), query.shape[1], -1)

    def _together(
        self, call: _Call, layer: int, queries: Any, keys: Any, values: Any, scaling: float | None, window: int | None
    ) -> Any:
        """Attend for all rows of a slab: (rows, key/value heads, queries for each of these, head size)."""
        import torch

        room = call.slab.room
        all_keys, all_values = call.slab.layers()[layer]
        rows = self._tensor(("written", room), call.rows, queries.device)
        places = self._tensor(("places", room), call.begins, queries.device)
        if not call.is_full:
            keys, values = keys[rows], values[rows]
        all_keys[rows, :, places] = keys
        all_values[rows, :, places] = values
        count = len(call.tokens)
        mask = self._mask(room, tuple(call.ends), window, queries)
        return torch.nn.functional.scaled_dot_product_attention(
            queries, all_keys[:count], all_values[:count], attn_mask=mask, scale=scaling
        )

    def _alone(
        self,
        layer: int,
        segment: Segment,
        query: Any,
        key: Any,
        value: Any,
        scaling: float | None,
        window: int | None,
    ) -> Any:
        """Attend for one token: (1, key/value heads, queries for each of these, head size)."""
        import torch

        cache, place = segment.cache, segment.begin
        if cache is None:
            raise ValueError("tokens that only fill the shape attend to nothing")
        if cache.slab is None:
            keys, values = cache.put_one(layer, place, key, value)
            if window is not None and segment.end > window:
                keys, values = keys[:, :, -window:], values[:, :, -window:]
            return torch.nn.functional.scaled_dot_product_attention(query, keys, values, scale=scaling)
        all_keys, all_values = cache.slab.layers()[layer]
        keys, values = all_keys.narrow(0, cache.slot, 1), all_values.narrow(0, cache.slot, 1)
        keys.select(2, place).copy_(key)
        values.select(2, place).copy_(value)
        room = room_for(segment.end) or cache.slab.room
        mask = self._mask(room, (segment.end,), window, query)
        return torch.nn.functional.scaled_dot_product_attention(
            query, keys.narrow(2, 0, room), values.narrow(2, 0, room), attn_mask=mask, scale=scaling
        )

    def _mask(self, room: int, ends: tuple[int, ...], window: int | None, like: Any) -> Any:
        """Return what is added to the scores: 0 for the keys that are seen; (rows, 1, 1, room)."""
        import torch

        key = ("mask", room, ends, window)
        if key not in self._made:
            end = torch.tensor(ends, device=like.device)[:, None]
            place = torch.arange(room, device=like.device)[None]
            hidden = place >= end if window is None else (place >= end) | (place < end - window)
            mask = torch.zeros(hidden.shape, dtype=like.dtype, device=like.device).masked_fill_(hidden, float("-inf"))
            self._made[key] = mask[:, None, None]
        return self._made[key]

    def _tensor(self, key: Any, numbers: list[int], device: Any) -> Any:
        import torch

        if key not in self._made:
            self._made[key] = torch.tensor(numbers, device=device)
        return self._made[key]
