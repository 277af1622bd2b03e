"""One run and nothing else: beside bare ``generate`` at the same settings, and at the best ones."""

from __future__ import annotations

import asyncio
import time

from .field import Field
from .load import PAUSE
from .settings import Aim, Result, median, paired

PROMPT = "Once upon a time"
SAMPLING = {"temperature": 0.7, "top_k": 50, "top_p": 0.9}
WAYS = [(dtype, attention) for dtype in ("bfloat16", "float32") for attention in ("sdpa", "eager")]
OURS = "mcnb"
SAMPLED = ", sampled"


async def measure(field: Field) -> Result:
    """Take turns: a run of mcnb's, then each way of plain transformers."""
    settings, here = field.settings, field.here
    own = (here.loaded.placement.dtype, "sdpa")
    lengths = (settings.tokens, 4 * settings.tokens)
    times: dict[int, dict[str, list[float]]] = {length: {} for length in lengths}
    for number in range(settings.rounds):
        for length in lengths:
            taken = times[length]
            # the two that are compared most closely follow each other, and take turns at being first
            turn = 1 if number % 2 else -1
            pair = [OURS, _name(own)][::turn] + [OURS + SAMPLED, _name(own) + SAMPLED][::turn]
            for name in (*pair, *(_name(way) for way in WAYS if way != own)):
                await asyncio.sleep(PAUSE)
                taken.setdefault(name, []).append(_seconds(field, name, length))
            told = ", ".join(f"{name} {found[-1]:.2f}" for name, found in taken.items())
            settings.say(f"  round {number + 1}, {length} tokens: {told} s")
    return _result(lengths, times, _name(own))


def _result(lengths: tuple[int, int], times: dict[int, dict[str, list[float]]], own: str) -> Result:
    columns = ["", *(f"{length} tokens" for length in lengths), "tokens/s"]
    result = Result("alone", "One run alone: seconds, and tokens/s", columns)
    plain = list(map(_name, WAYS))
    for name in (OURS, *plain, OURS + SAMPLED, own + SAMPLED):
        medians = [median(times[length][name]) for length in lengths]
        result.rows.append([name, *(f"{value:.2f} s" for value in medians), f"{lengths[-1] / medians[-1]:.1f}"])
    for length in lengths:
        taken = times[length]
        for kind in ("", SAMPLED):
            value = paired(taken[OURS + kind], taken[own + kind])
            result.aims.append(Aim(3, f"{length} tokens{kind}, time of `{own}`", value, "<= 1.02", value <= 1.02))
        best = min(plain, key=lambda name: median(taken[name]))
        value = paired(taken[OURS], taken[best])
        what = f"{length} tokens, time of the best plain setting, `{best}`"
        result.aims.append(Aim(3, what, value, "<= 1", value <= 1))
    result.notes = [
        "Text to text, each in a process of its own with the same number of threads; greedily where nothing else is "
        "said."
    ]
    result.values = {"seconds": times, "same_settings": own}
    return result


def _name(way: tuple[str, str]) -> str:
    return f"generate, {way[0]}, {way[1]}"


def _seconds(field: Field, name: str, tokens: int) -> float:
    """Return how long a way takes for so many tokens."""
    sampling = SAMPLING if name.endswith(SAMPLED) else None
    way = name.removesuffix(SAMPLED)
    if way == OURS:
        return _ours(field, tokens, {"do_sample": True, **SAMPLING} if sampling else None)
    _, dtype, attention = way.split(", ")
    return field.bare(dtype).generate([PROMPT], tokens, attention, sampling).seconds


def _ours(field: Field, tokens: int, parameters: dict[str, object] | None) -> float:
    compose = field.here.compose
    values = {"prompt": PROMPT, "tokens": tokens, "least": tokens}
    started = time.perf_counter()
    run = compose.runtime.submit(compose.document, "streamed", values, parameters=parameters, seed=1)
    run.result()
    seconds = time.perf_counter() - started
    if run.record.usage.output_tokens != tokens:
        raise RuntimeError(f"mcnb made {run.record.usage.output_tokens} tokens instead of {tokens}")
    return seconds
