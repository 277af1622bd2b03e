"""One run and nothing else: beside bare ``generate`` at the same settings, and at the best ones."""

from __future__ import annotations

import asyncio
import time

from .field import Field
from .load import PAUSE
from .settings import Aim, Result, median, paired

PROMPT = "Once upon a time"
WAYS = [(dtype, attention) for dtype in ("bfloat16", "float32") for attention in ("sdpa", "eager")]


async def measure(field: Field) -> Result:
    """Take turns: a run of mcnb's, then each way of plain transformers."""
    settings, here = field.settings, field.here
    own = (here.loaded.placement.dtype, "sdpa")
    title = "One run alone: seconds, and tokens/s"
    lengths = (settings.tokens, 4 * settings.tokens)
    result = Result("alone", title, ["", *(f"{length} tokens" for length in lengths), "tokens/s"])
    times: dict[int, dict[str, list[float]]] = {length: {} for length in lengths}
    for number in range(settings.rounds):
        for length in lengths:
            taken = times[length]
            # the two that are compared most closely follow each other, and take turns at being first
            pair = [("mcnb", None), (_name(own), own)]
            rest = [(_name(way), way) for way in WAYS if way != own]
            for name, way in (*pair[:: 1 if number % 2 else -1], *rest):
                await asyncio.sleep(PAUSE)
                taken.setdefault(name, []).append(_ours(field, length) if way is None else _plain(field, way, length))
            told = ", ".join(f"{name} {found[-1]:.2f}" for name, found in taken.items())
            settings.say(f"  round {number + 1}, {length} tokens: {told} s")
    for name in ("mcnb", *map(_name, WAYS)):
        medians = [median(times[length][name]) for length in lengths]
        result.rows.append([name, *(f"{value:.2f} s" for value in medians), f"{lengths[-1] / medians[-1]:.1f}"])
    for length in lengths:
        ours, best = times[length]["mcnb"], min(map(_name, WAYS), key=lambda name: median(times[length][name]))
        value = paired(ours, times[length][_name(own)])
        result.aims.append(Aim(3, f"{length} tokens, time of `{_name(own)}`", value, "<= 1.02", value <= 1.02))
        value = paired(ours, times[length][best])
        what = f"{length} tokens, time of the best plain setting, `{best}`"
        result.aims.append(Aim(3, what, value, "<= 1", value <= 1))
    result.notes = ["Text to text, greedily, in this process, with the same threads."]
    result.values = {"seconds": times, "same_settings": _name(own)}
    return result


def _name(way: tuple[str, str]) -> str:
    return f"generate, {way[0]}, {way[1]}"


def _plain(field: Field, way: tuple[str, str], tokens: int) -> float:
    return field.bare(way[0]).generate([PROMPT], tokens, way[1]).seconds


def _ours(field: Field, tokens: int) -> float:
    compose = field.here.compose
    started = time.perf_counter()
    run = compose.runtime.submit(compose.document, "streamed", {"prompt": PROMPT, "tokens": tokens})
    run.result()
    seconds = time.perf_counter() - started
    if run.record.usage.output_tokens != tokens:
        raise RuntimeError(f"mcnb made {run.record.usage.output_tokens} tokens instead of {tokens}")
    return seconds
