"""How many tokens a forward pass has to have, so that each of them comes out the same whatever the others are.

Libraries multiply one row with a matrix in another way than two, four or a hundred, and the last bits differ with it.
But they have few ways: of float32, MKL treats every multiple of four rows alike; of bfloat16, oneDNN every number from
two on. Which multiple that is here is found out with the model's own matrices, and passes are filled up to it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mcnb.models.engine.slabs import ROOMS
from mcnb.models.matrices import PLAIN, weight_of
from mcnb.models.packing import matrix

MOST_TOKENS = 512
"""In one forward pass."""

MOST_ROWS = 64
"""Of which the vocabulary's scores are computed in one pass."""

_TILES = (2, 4, 8, 16, 32)
"""Not 1: sums over a single row are taken in another order too, in every norm."""

_FIXED = 64

_QUERY_TILES = (4, 8, 16)
"""Not less: one to three queries take longer than four, in bfloat16 up to twice as long."""

_COMPANIES = (2, 3, 5, 8, 16, 32)
"""Sequences in one call of attention that are tried out."""


@dataclass(frozen=True)
class Shapes:
    """Which numbers of tokens give the same results.

    Attributes
    ----------
    tile : int
        Passes have a multiple of it.
    most : int
        And no more than this.
    """

    tile: int
    most: int

    def filled(self, count: int) -> int:
        """Return how many tokens a pass of `count` has."""
        return -(-count // self.tile) * self.tile


def find_shapes(model: Any) -> Shapes | None:
    """Return the shapes in which a model's matrices treat every row alike; None when there are none."""
    matrices = list(_matrices(model))
    head = model.get_output_embeddings()
    tile, most = _found(matrices, head)
    return Shapes(tile, most) if tile else None


def knows_all_weights(model: Any) -> bool:
    """Whether all that multiplies is a matrix of a kind known here; experts and recurrences are not."""
    parts = (module for module in model.modules() if _is_matrix(module) or _looks_up(module))
    known = {id(weight) for part in parts for weight in part.parameters()}
    return all(parameter.dim() < 2 or id(parameter) in known for parameter in model.parameters())


def _is_matrix(module: Any) -> bool:
    kinds = (*PLAIN, "Int8Linear", "Int4Linear", "FourBitLinear", "PackedLinear")
    return type(module).__name__ in kinds and getattr(module, "weight", None) is not None


def _looks_up(module: Any) -> bool:
    return "Embedding" in type(module).__name__ and getattr(module, "weight", None) is not None


def _matrices(model: Any) -> Iterator[Any]:
    """Yield one of the matrices of each shape; they are all multiplied alike."""
    seen = set()
    head = model.get_output_embeddings()
    for module in model.modules():
        if _is_matrix(module) and (kind := (_described(module), module is head)) not in seen:
            seen.add(kind)
            yield module


def _described(module: Any) -> str:
    weight = module.weight
    bias = "" if module.bias is None else " + bias"
    return f"{type(module).__name__} {tuple(weight.shape)} {weight.dtype} {weight.device.type}{bias}"


def _found(matrices: list[Any], head: Any) -> tuple[int, int]:
    import torch

    with torch.inference_mode():
        for tile in _TILES:
            if all(_same(module, tile, MOST_ROWS if module is head else MOST_TOKENS) for module in matrices):
                return tile, MOST_TOKENS
        if all(_same(module, _FIXED, _FIXED) for module in matrices):
            return _FIXED, _FIXED
    return 0, 0


def _same(module: Any, tile: int, most: int) -> bool:
    """Whether each row comes out the same in every multiple of the tile, wherever it stands."""
    import torch

    module, given = _revealing(module, max(16, tile))
    alone = torch.cat([module(given[None, at : at + tile])[0] for at in range(0, len(given), tile)])
    sizes = sorted({min(most, tile * times) for times in (1, 2, 3, 4, 5, 8, 13, 16)} | {tile * 9, most // 2, most})
    for size in (size for size in sizes if size <= most and size % tile == 0):
        for shift in (0, 1, 7):
            order = (torch.arange(size, device=given.device) + shift) % len(given)
            if not torch.equal(module(given[order][None])[0], alone[order]):
                return False
    return True


def _revealing(module: Any, rows: int) -> tuple[Any, Any]:
    """Return a copy of a matrix and rows, chosen so that the order in which their products are added up shows.

    Rounding to bfloat16 hides the last bits of most sums, and one in many thousands shows another order. So half of the
    products are large ones that cancel each other: what they leave behind of the small ones depends on the order.
    """
    import torch

    packed = type(module).__name__ == "PackedLinear"
    like, group = getattr(module, "like", None), getattr(module, "group", 0)
    made = module if like else module.plain() if packed else copy.deepcopy(module)
    generator = torch.Generator().manual_seed(0)
    weight = weight_of(made).data
    if like:
        weight = torch.randn(weight.shape, generator=generator).clamp(-2, 2).to(weight.dtype)
    inputs = weight.shape[1]
    places = torch.randperm(inputs, generator=generator).to(weight.device)
    if group:  # all groups get the same scale: with others, what is to cancel would be rounded apart
        weight[:, ::group], weight[:, 1::group] = -2, 2
        places = places[places % group > 1]
    quarter = len(places) // 4
    large, against = places[:quarter], places[quarter : 2 * quarter]
    weight[:, against] = weight[:, large]
    width = weight.dtype if weight.is_floating_point() else made.scales.dtype
    given = torch.randn(rows, inputs, generator=generator)
    given[:, large.cpu()] *= 1000
    given = given.to(weight.device, width)
    given[:, against] = -given[:, large]
    if like:
        return like(weight), given
    return matrix(weight, made.bias, packed=True) if packed else made, given


def find_query_tile(heads: int, pairs: Sequence[tuple[Any, Any]]) -> int:
    """Return how many queries for each key one call of attention must have for all sequences to be treated alike.

    Each thread of torch's attention on CPUs has a scratch buffer whose length follows from the number of queries. With
    some numbers the buffers of the second and further threads are not aligned as the first one's, and the last bits of
    a sequence depend on which thread computes it, so on the company it is in.

    Parameters
    ----------
    heads : int
        Of the queries.
    pairs : sequence of tuple of torch.Tensor
        Keys and values of layers, each of shape (1, key/value heads, any, head size).

    Returns
    -------
    int
        The queries are filled up to a multiple of it; 0 when there is no such number.
    """
    import torch

    with torch.inference_mode():
        for tile in _QUERY_TILES:
            if all(not heads % pair[0].shape[1] and _attends_alike(heads, pair, tile) for pair in pairs):
                return tile
    return 0


def _attends_alike(heads: int, pair: tuple[Any, Any], tile: int) -> bool:
    import torch

    shared = pair[0].shape[1]
    asked = -(-heads // shared // tile) * tile
    for room in ROOMS:
        rows = _revealing_rows(max(_COMPANIES), room, asked, pair)
        alone = [_attended(*(tensor[row : row + 1] for tensor in rows)) for row in range(max(_COMPANIES))]
        for count in _COMPANIES:
            for first in (0, 1, max(_COMPANIES) - count):
                some = slice(first, min(first + count, max(_COMPANIES)))
                if not torch.equal(_attended(*(tensor[some] for tensor in rows)), torch.cat(alone[some])):
                    return False
    return True


def _attended(queries: Any, keys: Any, values: Any, mask: Any) -> Any:
    import torch

    return torch.nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


def _revealing_rows(count: int, room: int, queries: int, like: tuple[Any, Any]) -> tuple[Any, ...]:
    """Return queries, keys, values and a mask: half of the values cancel each other, so that the order shows."""
    import torch

    generator = torch.Generator().manual_seed(room)
    shared, place, dtype = like[0].shape[1], like[0].device, like[0].dtype
    keys = torch.randn(count, shared, room, like[0].shape[3], generator=generator)
    values = torch.randn(count, shared, room, like[1].shape[3], generator=generator)
    quarter = room // 4
    keys[:, :, quarter : 2 * quarter] = keys[:, :, :quarter]
    values[:, :, :quarter] *= 1000
    values[:, :, quarter : 2 * quarter] = -values[:, :, :quarter]
    asked = torch.randn(count, shared, queries, like[0].shape[3], generator=generator)
    mask = torch.zeros(count, 1, 1, room)
    for row in range(count):
        mask[row, ..., room - 1 - row % (room // 3) :] = float("-inf")
    return tuple(tensor.to(place, dtype) for tensor in (asked, keys, values, mask))
