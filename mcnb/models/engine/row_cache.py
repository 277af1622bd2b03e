"""Keys and values of one sequence, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcnb.models.engine.slabs import Slab

SMALLEST = 128
"""Tokens a row has room for at first."""


@dataclass(frozen=True)
class Block:
    """The keys and values of some consecutive tokens.

    Attributes
    ----------
    layers : dict
        By layer: keys and values, each of shape (1, key/value heads, tokens, head size).
    memory : int
        Bytes of them.
    """

    layers: dict[int, tuple[Any, Any]]
    memory: int


class RowCache:
    """The keys and values of one sequence; the room for them grows as it does.

    Parameters
    ----------
    expected : int
        Tokens there is room for at first.
    most : int, optional
        Tokens it will never have more of.

    Attributes
    ----------
    length : int
        Tokens whose keys and values it holds. A forward pass writes behind them and then counts them in.
    slab : Slab or None
        Where they are, if not in memory of their own.
    slot : int
        Which row of the slab.
    """

    def __init__(self, expected: int = SMALLEST, most: int | None = None) -> None:
        self.length = 0
        self._expected = expected
        self._most = most
        self._layers: dict[int, tuple[Any, Any]] = {}
        self.slab: Slab | None = None
        self.slot = 0

    @property
    def memory(self) -> int:
        """Bytes it takes."""
        if self.slab is not None:
            return self.slab.bytes_per_row
        return sum(tensor.nbytes for pair in self._layers.values() for tensor in pair)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of the keys and values of one token, once it holds some."""
        held = sum(tensor.nbytes for pair in self.layers().values() for tensor in pair)
        return int(held // max(1, self.length))

    def layers(self) -> dict[int, tuple[Any, Any]]:
        """Return what it holds: by layer, keys and values, each of shape (1, key/value heads, length, head size)."""
        if self.slab is None:
            held = self._layers
        else:
            row = slice(self.slot, self.slot + 1)
            held = {layer: (keys[row], values[row]) for layer, (keys, values) in self.slab.layers().items()}
        return {
            layer: (keys[:, :, : self.length], values[:, :, : self.length]) for layer, (keys, values) in held.items()
        }

    def move_to(self, slab: Slab, slot: int) -> None:
        """Note that what it holds is a row of a slab now."""
        if self.slab is not slab:
            self.leave()
        self.slab, self.slot = slab, slot
        self._layers = {}

    def move_out(self) -> None:
        """Take what it holds out of its slab."""
        if self.slab is not None:
            held = self.layers()
            self.leave()
            for layer, (keys, values) in held.items():
                self.put(layer, 0, keys, values)

    def leave(self) -> None:
        """Let go of its row in a slab, if it has one; what was there is gone."""
        if self.slab is not None:
            self.slab.leave(self.slot)
        self.slab = None

    def put(self, layer: int, begin: int, keys: Any, values: Any) -> tuple[Any, Any]:
        """Write the keys and values of tokens; return those of all tokens up to them.

        Parameters
        ----------
        layer : int
            Of which layer.
        begin : int
            Place of the first token.
        keys, values : torch.Tensor
            Of shape (1, key/value heads, tokens, head size).
        """
        end = begin + keys.shape[2]
        all_keys, all_values = self._room(layer, end, keys, values)
        all_keys[:, :, begin:end] = keys
        all_values[:, :, begin:end] = values
        return all_keys[:, :, :end], all_values[:, :, :end]

    def put_one(self, layer: int, place: int, key: Any, value: Any) -> tuple[Any, Any]:
        """Write the key and the value of one token; return those of all tokens up to it.

        Parameters
        ----------
        layer, place : int
            Of which layer; of the token.
        key, value : torch.Tensor
            Of shape (1, key/value heads, head size).
        """
        all_keys, all_values = self._room(layer, place + 1, key, value)
        all_keys.select(2, place).copy_(key)
        all_values.select(2, place).copy_(value)
        return all_keys.narrow(2, 0, place + 1), all_values.narrow(2, 0, place + 1)

    def copy(self) -> RowCache:
        """Return the same again, for a further sequence with the same beginning."""
        made = RowCache(self._expected, self._most)
        made.extend(self.block(0, self.length))
        return made

    def block(self, begin: int, end: int) -> Block:
        """Return a copy of a part."""
        layers = {
            layer: (keys[:, :, begin:end].clone(), values[:, :, begin:end].clone())
            for layer, (keys, values) in self.layers().items()
        }
        return Block(layers, sum(tensor.nbytes for pair in layers.values() for tensor in pair))

    def extend(self, block: Block) -> None:
        """Take a part that was computed elsewhere."""
        count = 0
        for layer, (keys, values) in block.layers.items():
            self.put(layer, self.length, keys, values)
            count = keys.shape[2]
        self.length += count

    def _room(self, layer: int, end: int, keys: Any, values: Any) -> tuple[Any, Any]:
        known = self._layers.get(layer)
        if known is not None and known[0].shape[2] >= end:
            return known
        room = max(self._expected, -(-3 * end // (2 * SMALLEST)) * SMALLEST)
        if self._most is not None:
            room = max(end, min(room, self._most))
        pair = keys.new_empty(_roomy(keys, room)), values.new_empty(_roomy(values, room))
        if known is not None:
            for new, old in zip(pair, known, strict=True):
                new[:, :, : old.shape[2]] = old
        self._layers[layer] = pair
        return pair


def _roomy(like: Any, room: int) -> tuple[int, ...]:
    return (1, like.shape[1], room, like.shape[-1])
