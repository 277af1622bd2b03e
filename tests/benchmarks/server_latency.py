"""Latency of a workflow that does next to nothing (one token, warm): our server's, and the peer's beside it.

``python -m tests.benchmarks.server_latency [--peer PYTHON] [--requests 200]``: both serve the same compose file with
SmolLM2; one request of one is followed by one of the other, each on a connection that is kept open. PYTHON is that of
an environment with ``model-compose``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
from contextlib import AsyncExitStack
from pathlib import Path

from tests.reliability.promise import leave_on_term, percentile

from .two_servers import both, smollm2

PROMPT = "Once upon a time"
WARM = 5
PAUSE = 0.3
"""Seconds before each request: threads of the other side's last one may still spin, and are not to be measured."""


async def measure(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    """Return median and 95th percentile of each side, in milliseconds."""
    took: dict[str, list[float]] = {}
    with both(arguments.peer, arguments.model) as sides:
        async with AsyncExitStack() as stack:
            clients = [(side, await stack.enter_async_context(side.client())) for side in sides]
            for number in range(-WARM, arguments.requests):
                for side, client in clients:
                    await asyncio.sleep(PAUSE)
                    answer = await side.whole(client, PROMPT, 1)
                    if number >= 0:
                        took.setdefault(side.name, []).append(answer.whole * 1000)
    figures = {
        name: {"median_ms": statistics.median(values), "p95_ms": percentile(values, 95)}
        for name, values in took.items()
    }
    if len(took) == 2:
        ours, theirs = took.values()
        differences = [a - b for a, b in zip(ours, theirs, strict=True)]
        figures["difference"] = {
            "median_ms": statistics.median(differences),
            "p95_ms": figures["mcnb"]["p95_ms"] - figures["model-compose"]["p95_ms"],
        }
    return figures


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, metavar="PYTHON")
    parser.add_argument("--model", type=Path, metavar="FOLDER")
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.model = arguments.model or smollm2()
    leave_on_term()
    figures = asyncio.run(measure(arguments))
    for name, values in figures.items():
        print(f"{name:14} one token, warm: median {values['median_ms']:.1f} ms, p95 {values['p95_ms']:.1f} ms")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
