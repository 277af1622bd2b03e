"""Keys and values of one sequence, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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

    Attributes
    ----------
    length : int
        Tokens whose keys and values it holds. A forward pass writes behind them and then counts them in.
    """

    def __init__(self) -> None:
        self.length = 0
        self._layers: dict[int, tuple[Any, Any]] = {}

    @property
    def memory(self) -> int:
        """Bytes it takes."""
        return sum(tensor.nbytes for pair in self._layers.values() for tensor in pair)

    @property
    def bytes_per_token(self) -> int:
        """Bytes of the keys and values of one token."""
        return sum(tensor.nbytes // tensor.shape[2] for pair in self._layers.values() for tensor in pair)

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

    def copy(self) -> RowCache:
        """Return the same again, for a further sequence with the same beginning."""
        made = RowCache()
        made.extend(self.block(0, self.length))
        return made

    def block(self, begin: int, end: int) -> Block:
        """Return a copy of a part."""
        layers = {
            layer: (keys[:, :, begin:end].clone(), values[:, :, begin:end].clone())
            for layer, (keys, values) in self._layers.items()
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
        room = max(SMALLEST, -(-3 * end // (2 * SMALLEST)) * SMALLEST)
        pair = keys.new_empty(_roomy(keys, room)), values.new_empty(_roomy(values, room))
        if known is not None:
            for new, old in zip(pair, known, strict=True):
                new[:, :, : old.shape[2]] = old
        self._layers[layer] = pair
        return pair


def _roomy(like: Any, room: int) -> tuple[int, ...]:
    return (1, like.shape[1], room, like.shape[3])
