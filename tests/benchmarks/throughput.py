"""Streaming runs at the same time: tokens a second of all of them together."""

from __future__ import annotations

import statistics
from typing import Any

from .field import Field
from .load import Request
from .settings import Aim, Result, median, paired

THROUGH_HTTP = 16
"""Runs at which our own server is measured too."""

BF16, FP32 = "generate, bf16", "generate, fp32"


async def measure(field: Field) -> Result:
    """Let everybody have the same load, one after the other, round by round."""
    settings = field.settings
    sides = [field.here, field.up, *field.others]
    static = {BF16: field.bare("bfloat16"), FP32: field.bare("float32")}
    for side in sides:
        await field.load.turn(side, [Request("Once upon a time", 8)])
    rates: dict[str, dict[int, list[float]]] = {}
    firsts: dict[str, dict[int, list[float]]] = {}

    def note(name: str, level: int, rate: float, first: float) -> None:
        rates.setdefault(name, {}).setdefault(level, []).append(rate)
        firsts.setdefault(name, {}).setdefault(level, []).append(first)

    for number in range(settings.rounds):
        for level in settings.levels:
            prompts = field.prompts.short(level)
            for side in sides:
                if side is field.up and level != THROUGH_HTTP:
                    continue
                turn = await field.load.turn(side, [Request(prompt, settings.tokens) for prompt in prompts])
                note(side.name, level, turn.rate, statistics.median(turn.firsts))
            for name, model in static.items():
                made = model.generate(prompts, settings.tokens)
                note(name, level, made.tokens / made.seconds, made.first)
            told = ", ".join(f"{name} {found[level][-1]:.0f}" for name, found in rates.items() if level in found)
            settings.say(f"  round {number + 1}, {level} runs: {told} tokens/s")
    return _result(field, rates, firsts)


def _result(
    field: Field, rates: dict[str, dict[int, list[float]]], firsts: dict[str, dict[int, list[float]]]
) -> Result:
    tokens, levels = field.settings.tokens, field.settings.levels
    result = Result("throughput", f"Streaming runs of {tokens} tokens at the same time: tokens/s of all together", [])
    result.columns = ["", *(f"{level}" for level in levels)]
    for name, found in rates.items():
        result.rows.append([name, *(f"{median(found[level]):.0f}" if level in found else "" for level in levels)])
    for name, found in firsts.items():
        if name not in static_names():
            cells = (f"{median(found[level]):.2f} s" if level in found else "" for level in levels)
            result.rows.append([f"{name}: first token", *cells])
    result.notes = [
        f"mcnb computes in {field.here.loaded.placement.dtype}; all decode greedily.",
        "`generate` gets all prompts in one call, padded on the left; it streams nothing, and all begin and end "
        "together.",
        "First token: the median over the runs of a round.",
    ]
    ours = rates["mcnb"]
    if 16 in ours:
        value = paired(ours[16], rates[BF16][16])
        result.aims.append(Aim(1, "16 runs, of static bf16 `generate` of 16 rows", value, ">= 0.9", value >= 0.9))
        value = paired(rates["mcnb up"][16], ours[16])
        result.aims.append(Aim(1, "16 runs through HTTP, of the Runtime", value, ">= 0.9", value >= 0.9))
    peer = rates.get("model-compose", {})
    for level, wanted in ((16, 6.0), (32, 10.0)):
        if level in ours and level in peer:
            value = paired(ours[level], peer[level])
            what = f"{level} runs, of model-compose over HTTP"
            result.aims.append(Aim(1, what, value, f">= {wanted:g}", value >= wanted))
    values: dict[str, Any] = {"tokens_per_second": rates, "first_token_seconds": firsts}
    result.values = values
    return result


def static_names() -> tuple[str, str]:
    """Return the names of the lines that are no contender's."""
    return BF16, FP32
