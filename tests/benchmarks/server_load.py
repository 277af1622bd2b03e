"""16 concurrent streaming POSTs: tokens a second of our server, and of the peer's under the same load.

``python -m tests.benchmarks.server_load [--peer PYTHON] [--clients 16] [--tokens 32] [--rounds 5]``: both serve one
compose file with SmolLM2, decode greedily and take turns, so that a round of one is beside a round of the other; PYTHON
is that of an environment with ``model-compose``. Each of our streams has to be in order, complete, and the same bytes
as the output that is stored; the texts of both sides are compared too. ``--whole`` does it with replies in one piece.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from pathlib import Path
from typing import Any

import httpx

from tests.reliability.promise import leave_on_term

from .prompts import PROMPTS
from .two_servers import Answer, Ours, Side, both, smollm2


class Round:
    """One side's turn: all clients at once."""

    def __init__(self, answers: list[Answer], seconds: float, tokens: int) -> None:
        self.texts = [answer.text for answer in answers]
        self.first = statistics.median(answer.first for answer in answers)
        self.seconds = seconds
        self.rate = tokens / seconds


class Load:
    """The same load for each side."""

    def __init__(self, model: Path, clients: int, tokens: int, *, whole: bool) -> None:
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(model / "tokenizer.json"))
        self._prompts = [PROMPTS[number % len(PROMPTS)] for number in range(clients)]
        self._tokens = tokens
        self._whole = whole

    async def once(self, side: Side) -> Round:
        """Send all requests at once and return what came."""
        async with side.client() as client:
            ask = side.whole if self._whole else side.streamed
            started = time.perf_counter()
            answers = await asyncio.gather(*(ask(client, prompt, self._tokens) for prompt in self._prompts))
            seconds = time.perf_counter() - started
            if isinstance(side, Ours):
                for prompt, answer in zip(self._prompts, answers, strict=True):
                    await _same_as_stored(client, prompt, answer)
        return Round(answers, seconds, sum(self._count(answer.text) for answer in answers))

    def _count(self, text: str) -> int:
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


async def _same_as_stored(client: httpx.AsyncClient, prompt: str, answer: Answer) -> None:
    stored = (await client.get(f"workflows/runs/{answer.run_id}", params={"output_only": "true"})).json()
    if stored != prompt + answer.text:
        raise SystemExit(f"{answer.run_id}: {prompt + answer.text!r} came, {stored!r} is stored")


async def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Let the sides take turns and return the medians."""
    load = Load(arguments.model, arguments.clients, arguments.tokens, whole=arguments.whole)
    rounds: dict[str, list[Round]] = {}
    with both(arguments.peer, arguments.model) as sides:
        for side in sides:
            await load.once(side)  # warm
        for _ in range(arguments.rounds):
            for side in sides:
                rounds.setdefault(side.name, []).append(await load.once(side))
    figures: dict[str, Any] = {
        name: {
            "tokens_per_second": statistics.median(turn.rate for turn in turns),
            "seconds": statistics.median(turn.seconds for turn in turns),
            "first_piece_seconds": statistics.median(turn.first for turn in turns),
        }
        for name, turns in rounds.items()
    }
    if len(rounds) == 2:
        ours, theirs = rounds.values()
        figures["median_of_ratios"] = statistics.median(a.rate / b.rate for a, b in zip(ours, theirs, strict=True))
        pairs = [pair for a, b in zip(ours, theirs, strict=True) for pair in zip(a.texts, b.texts, strict=True)]
        figures["same_texts"] = sum(a == b for a, b in pairs) / len(pairs)
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="PYTHON")
    parser.add_argument("--model", type=Path, metavar="FOLDER")
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--whole", action="store_true", help="replies in one piece instead of streams")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.model = arguments.model or smollm2()
    leave_on_term()
    figures = asyncio.run(measure(arguments))
    kind = "replies" if arguments.whole else "streams"
    for name, values in figures.items():
        if isinstance(values, dict):
            print(
                f"{name:14} {arguments.clients} {kind}: {values['tokens_per_second']:.1f} tokens/s, "
                f"{values['seconds']:.2f} s a round, first piece after {values['first_piece_seconds']:.2f} s"
            )
    if "median_of_ratios" in figures:
        print(
            f"ratio {figures['median_of_ratios']:.2f} (median of {arguments.rounds} pairs of rounds); "
            f"{figures['same_texts']:.0%} of the texts are the same"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
