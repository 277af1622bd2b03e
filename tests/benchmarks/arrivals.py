"""Requests that come one by one, as Poisson would have it, for texts of mixed lengths; and a long prompt that joins."""

from __future__ import annotations

import asyncio
import random
import statistics
from itertools import pairwise

from tests.reliability.promise import percentile

from .field import Field
from .load import PAUSE, Request, Turn
from .settings import Aim, Result, median
from .two_servers import PATIENCE, Answer, Side

SHORTEST = 16
LONG_PROMPT = 1000
STREAMS = 4
"""That run while the long prompt joins."""

UNDER_WAY = 5
"""Pieces of one of them, by which the others run too where they can."""

LONGEST_WAIT = 0.5
"""Seconds between two tokens, at most."""


async def measure(field: Field) -> Result:
    """Let the same requests arrive at everybody; and have the long prompt join running streams."""
    settings = field.settings
    sides = [field.here, *field.others]
    for side in sides:
        await field.load.turn(side, [Request("Once upon a time", 8)])
    turns: dict[str, dict[float, list[Turn]]] = {}
    joins: dict[str, list[tuple[float, float, float]]] = {}
    for number in range(settings.rounds):
        for rate in settings.rates:
            requests = arriving(field, rate, f"{rate} {number}")
            for side in sides:
                turn = await field.load.turn(side, requests)
                turns.setdefault(side.name, {}).setdefault(rate, []).append(turn)
                told = f"first token {statistics.mean(turn.firsts):.2f} s, {turn.rate:.0f} tokens/s"
                settings.say(f"  round {number + 1}, {rate:g}/s, {side.name}: {told}")
        for side in sides:
            found = await _join(field, side, f"join {number} {side.name}")
            joins.setdefault(side.name, []).append(found)
            settings.say(f"  round {number + 1}, {LONG_PROMPT} tokens join, {side.name}: longest wait {found[0]:.3f} s")
    return _result(field, turns, joins)


def arriving(field: Field, rate: float, seed: str) -> list[Request]:
    """Return the requests of a turn: so many a second on average, of mixed lengths."""
    settings = field.settings
    draw = random.Random(seed)
    requests, at = [], 0.0
    for prompt in field.prompts.short(settings.requests):
        requests.append(Request(prompt, draw.randint(min(SHORTEST, settings.tokens), 4 * settings.tokens), at))
        at += draw.expovariate(rate)
    return requests


async def _join(field: Field, side: Side, seed: str) -> tuple[float, float, float]:
    """Return the longest wait between tokens while the long prompt joins, the usual one, and its own first token."""
    tokens = 4 * field.settings.tokens
    streams = [Request(prompt, tokens) for prompt in field.prompts.short(STREAMS)]
    late = Request(field.prompts.long(LONG_PROMPT, seed), 8)
    under_way = asyncio.Event()

    def heard(pieces: int) -> None:
        if pieces == UNDER_WAY:
            under_way.set()

    await asyncio.sleep(PAUSE)
    async with side.client() as client:
        running = [asyncio.create_task(side.streamed(client, one.prompt, one.tokens, heard)) for one in streams]
        await asyncio.wait_for(under_way.wait(), PATIENCE)
        joined = await side.streamed(client, late.prompt, late.tokens)
        answers = [await task for task in running]
    for request, answer in zip([*streams, late], [*answers, joined], strict=True):
        field.load.check(side, request, answer)
    begin, end = joined.sent, joined.sent + joined.first
    within = _waits(answers, begin, end)
    usual = [later - earlier for answer in answers for earlier, later in pairwise(answer.times)]
    # a server that computes one text after the other may have none running when the prompt's turn comes
    return max(within, default=0.0), median(usual), joined.first


def _waits(answers: list[Answer], begin: float, end: float) -> list[float]:
    """Return the waits between tokens that have a part in a span of time."""
    return [
        later - earlier
        for answer in answers
        for earlier, later in pairwise(answer.times)
        if later > begin and earlier < end
    ]


def _result(
    field: Field, turns: dict[str, dict[float, list[Turn]]], joins: dict[str, list[tuple[float, float, float]]]
) -> Result:
    settings = field.settings
    result = Result(
        "arrivals",
        f"{settings.requests} requests that arrive by chance, for texts of "
        f"{min(SHORTEST, settings.tokens)} to {4 * settings.tokens} tokens",
        ["", "requests/s", "first token, mean", "first token, p95", "tokens/s", "longest wait for a token"],
    )
    values: dict[str, dict[str, dict[str, list[float]]]] = {}
    for rate in settings.rates:
        for name, found in turns.items():
            here = values.setdefault(name, {})[f"{rate:g}"] = {
                "first_token_mean": [statistics.mean(turn.firsts) for turn in found[rate]],
                "first_token_p95": [percentile(turn.firsts, 95) for turn in found[rate]],
                "tokens_per_second": [turn.rate for turn in found[rate]],
                "longest_wait": [max(_waits(turn.answers, 0, float("inf"))) for turn in found[rate]],
            }
            mean, late, speed, wait = (median(each) for each in here.values())
            cells = [f"{mean:.2f} s", f"{late:.2f} s", f"{speed:.0f}", f"{wait:.2f} s"]
            result.rows.append([name, f"{rate:g}", *cells])
    for name, each in joins.items():
        wait, usual, first = (
            max(one[0] for one in each),
            median([one[1] for one in each]),
            median([one[2] for one in each]),
        )
        result.notes.append(
            f"{name}: while a prompt of {LONG_PROMPT:,} tokens joins {STREAMS} streams, the longest wait between two "
            f"tokens of theirs is {wait:.2f} s (usually {usual:.3f} s); its own first token comes after {first:.2f} s."
        )
    worst = max(one[0] for one in joins["mcnb"])
    if not worst:
        raise RuntimeError("no stream of mcnb's ran while the long prompt joined")
    what = f"longest wait of a stream while {LONG_PROMPT:,} tokens join"
    result.aims.append(Aim(2, what, worst, "<= 0.5 s", worst <= LONGEST_WAIT, "s"))
    result.values = {"arrivals": values, "joins": joins}
    return result
