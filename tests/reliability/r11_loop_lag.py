"""R11: the server's event loop comes round in time during a cold load and decoding: p99 of its lag at most 50 ms.

``python -m tests.reliability.r11_loop_lag [--rounds 20] [--seed N]``: a round is one second of decoding four streams.
The lag is measured inside, by a probe in the loop itself, and shown beside it the time that a light request takes, sent
from outside 100 times a second. Cold load and decoding are told apart.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

from .caller import Caller, tokens_in
from .documents import LONG, asks, served
from .light_requests import light_requests
from .loop_probe import times
from .promise import Figure, Task, command, percentile
from .server_process import ServerProcess

STREAMS = 4
LIMIT = 0.05


async def measure(task: Task) -> Figure:
    figure = Figure("R11", f"event-loop lag p99 at most {LIMIT * 1000:.0f} ms during cold load and decoding", "")
    document = served(task.folder / "served")
    inside, outside = task.folder / "lags.txt", task.folder / "requests.txt"
    server = ServerProcess(
        task.folder / "server",
        [document],
        extensions={"tests.reliability.loop_probe": True},
        environment={"LOOP_PROBE": str(inside)},
    )
    with await asyncio.to_thread(server.start), light_requests(server, outside):
        async with Caller(server) as caller:
            await asyncio.sleep(2)
            cold = time.time()
            decoding = await _first_token(caller)
            await asyncio.gather(*(_read(caller, decoding + task.rounds) for _ in range(STREAMS)))
            over = time.time()
    phases = {"idle": (cold - 1.5, cold), "cold load": (cold, decoding), "decoding": (decoding, over)}
    told = []
    for name, (since, until) in phases.items():
        late, took = times(inside, since, until), times(outside, since, until)
        told.append(
            f"{name} {percentile(late, 99) * 1000:.1f} ms (longest {max(late) * 1000:.0f}; a light request "
            f"{percentile(took, 99) * 1000:.0f} ms)"
        )
        if name != "idle" and percentile(late, 99) > LIMIT:
            figure.late.append(f"{name}: p99 of the lag is {percentile(late, 99) * 1000:.0f} ms")
    figure.figure = f"p99 of {until - cold:.0f} s: " + "; ".join(told)
    return figure


async def _first_token(caller: Caller) -> float:
    """Ask a server that has no kernel for a token; return when it came."""
    async with aclosing(caller.stream(asks(LONG, tokens=4))) as events:
        moments = [time.time() async for event in events if tokens_in(event)]
    return moments[0]


async def _read(caller: Caller, until: float) -> None:
    """Read a stream until some time, and leave it."""
    async with aclosing(caller.stream(asks(LONG))) as events:
        async for _ in events:
            if time.time() > until:
                return


if __name__ == "__main__":
    command(measure, 20, __doc__)
