"""What it costs that a row's bits do not depend on the others: passes filled up to the tile, and as they come."""

from __future__ import annotations

import time
from typing import Any

from mcnb.models.control import Control
from mcnb.models.progress import no_report

from .field import Field
from .settings import Result, median

DTYPES = ("bfloat16", "float32")
ROWS = (1, 2, 3, 8, 16, 32)
CONTEXT = 48
STEPS = 16
"""In a round, of each kind."""

FILLED, FREE = "filled", "as they come"


async def measure(field: Field) -> Result:
    """Let both kinds of steps take turns, over the same sequences."""
    from mcnb.models.hardware import Placement
    from mcnb.models.loading import load

    result = Result(
        "invariance",
        "What bits that do not depend on the batch cost: one step of all rows",
        ["", "rows", "a multiple of", FILLED, FREE, "cost", f"{FILLED}: as if alone", f"{FREE}: as if alone"],
    )
    for dtype in DTYPES:
        placement = Placement("cpu", dtype, "measured")
        loaded = load(field.here.loaded.snapshot, placement, control=Control(), report=no_report)
        _measure(field, loaded, result)
    result.notes = [
        "Passes have a multiple of so many tokens. As if alone: whether the scores of the first row are bit for bit "
        "those of its step without the others.",
    ]
    return result


def _measure(field: Field, loaded: Any, result: Result) -> None:
    import torch

    from mcnb.models.engine.fitness import forward_for
    from mcnb.models.engine.forward import Forward
    from mcnb.models.engine.invariance import Shapes

    filled = forward_for(loaded)
    if filled is None or filled.one_at_a_time:
        raise RuntimeError(f"this model is not computed in batches here, in {loaded.placement.dtype}")
    tile, dtype = filled.shapes.tile, loaded.placement.dtype
    kinds = {FILLED: filled, FREE: Forward(loaded, Shapes(1, filled.shapes.most))}
    times: dict[int, dict[str, list[float]]] = {}
    alone = {name: _step(forward, _rows(forward, 1))[0] for name, forward in kinds.items()}
    for count in ROWS:
        taken: dict[str, list[float]] = {name: [] for name in kinds}
        same = dict.fromkeys(kinds, True)
        for _ in range(field.settings.rounds):
            caches = {name: _rows(forward, count) for name, forward in kinds.items()}
            for number in range(STEPS):
                for name, forward in kinds.items():
                    started = time.perf_counter()
                    scores = _step(forward, caches[name])
                    taken[name].append(time.perf_counter() - started)
                    if not number:
                        same[name] &= bool(torch.equal(scores[0], alone[name]))
        times[count] = taken
        both = [median(found) for found in taken.values()]
        answers = ("yes" if found else "no" for found in same.values())
        cells = [*(f"{1000 * value:.1f} ms" for value in both), f"{both[0] / both[1] - 1:+.0%}", *answers]
        result.rows.append([dtype, str(count), str(tile), *cells])
        field.settings.say(f"  {dtype}, {count} rows: {', '.join(cells)}")
    result.values[dtype] = {"seconds": times, "tile": tile}


def _rows(forward: Any, count: int) -> list[Any]:
    """Return so many sequences with a little context."""
    from mcnb.models.engine.attention import Segment
    from mcnb.models.engine.row_cache import RowCache

    caches = [RowCache() for _ in range(count)]
    for row, cache in enumerate(caches):
        tokens = tuple((31 * row + 7 * place + 3) % 4000 + 100 for place in range(CONTEXT))
        forward([Segment(cache, 0, tokens)], [])
    return caches


def _step(forward: Any, caches: list[Any]) -> Any:
    """Compute the next token of all sequences."""
    from mcnb.models.engine.attention import Segment

    segments = [Segment(cache, cache.length, (500 + row,)) for row, cache in enumerate(caches)]
    return forward(segments, range(len(caches)))
