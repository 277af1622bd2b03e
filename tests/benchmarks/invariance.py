"""What it costs that a row's bits do not depend on the others: passes filled up to the tile, and as they come."""

from __future__ import annotations

import time

from .field import Field
from .settings import Result, median

ROWS = (1, 2, 3, 8, 16, 32)
CONTEXT = 48
STEPS = 16
"""In a round, of each kind."""


async def measure(field: Field) -> Result:
    """Let both kinds of steps take turns, over the same sequences."""
    import torch

    from mcnb.models.engine.attention import Segment
    from mcnb.models.engine.fitness import forward_for
    from mcnb.models.engine.forward import Forward
    from mcnb.models.engine.invariance import Shapes
    from mcnb.models.engine.row_cache import RowCache

    loaded, say = field.here.loaded, field.settings.say
    filled = forward_for(loaded)
    if filled is None or filled.one_at_a_time:
        raise RuntimeError("this model is not computed in batches here")
    free = Forward(loaded, Shapes(1, 512))
    tile = filled.shapes.tile
    kinds = {f"filled to {tile}": filled, "as they come": free}

    def context(row: int) -> tuple[int, ...]:
        return tuple((31 * row + 7 * place + 3) % 4000 + 100 for place in range(CONTEXT))

    def rows(forward: Forward, count: int) -> list[RowCache]:
        caches = [RowCache() for _ in range(count)]
        for row, cache in enumerate(caches):
            forward([Segment(cache, 0, context(row))], [])
        return caches

    def step(forward: Forward, caches: list[RowCache]) -> torch.Tensor:
        segments = [Segment(cache, cache.length, (500 + row,)) for row, cache in enumerate(caches)]
        return forward(segments, range(len(caches)))

    result = Result(
        "invariance",
        "What bits that do not depend on the batch cost: one step of all rows",
        ["rows", *(f"{name}" for name in kinds), "cost", *(f"{name}: as if alone" for name in kinds)],
    )
    times: dict[int, dict[str, list[float]]] = {}
    alone = {name: step(forward, rows(forward, 1))[0] for name, forward in kinds.items()}
    for count in ROWS:
        taken: dict[str, list[float]] = {name: [] for name in kinds}
        same = dict.fromkeys(kinds, True)
        for _ in range(field.settings.rounds):
            caches = {name: rows(forward, count) for name, forward in kinds.items()}
            for number in range(STEPS):
                for name, forward in kinds.items():
                    started = time.perf_counter()
                    scores = step(forward, caches[name])
                    taken[name].append(time.perf_counter() - started)
                    if not number:
                        same[name] &= bool(torch.equal(scores[0], alone[name]))
        times[count] = taken
        both = [median(found) for found in taken.values()]
        answers = ("yes" if found else "no" for found in same.values())
        cells = [*(f"{1000 * value:.1f} ms" for value in both), f"{both[0] / both[1] - 1:+.0%}", *answers]
        result.rows.append([str(count), *cells])
        say(f"  {count} rows: {', '.join(cells)}")
    result.notes = [
        f"{loaded.placement.dtype}; passes are filled to a multiple of {tile}. As if alone: whether the scores of the "
        "first row are bit for bit those of its step without the others.",
    ]
    result.values = {"seconds": times, "tile": tile}
    return result
