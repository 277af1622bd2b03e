"""R10: clients that leave a stream at random tokens: compute stops, and who comes back gets the same bytes.

``python -m tests.reliability.r10_leaving [--rounds 200] [--seed N]``: a round is one client, four at a time. Every
other one leaves for good, and its run is cancelled; the others have a key, come back with ``Last-Event-ID`` and read
on, and what they got before and after is compared with the whole log, read once more.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing
from itertools import pairwise
from typing import Any

from .caller import Caller, faults_in, text_of, tokens_in
from .documents import LONG, asks, served
from .promise import Figure, Task, command, percentile
from .server_process import ServerProcess

AT_ONCE = 4
STOPPED_WITHIN = 0.2
"""Seconds, besides one decode step, from the leaving to the end of compute."""

LENGTH = 120
"""Tokens of a run that goes on without its client."""


class Seen:
    """What came out of all rounds."""

    def __init__(self) -> None:
        self.stopped: list[float] = []
        self.steps: list[float] = []
        self.same = 0
        self.broken: list[str] = []


async def measure(task: Task) -> Figure:
    figure = Figure("R10", f"{task.rounds} clients that leave: compute stops, a reconnect is byte-identical", "")
    document = served(task.folder / "served")
    seen = Seen()
    turns = asyncio.Semaphore(AT_ONCE)
    server = ServerProcess(task.folder / "server", [document], queue_length=task.rounds)
    with await asyncio.to_thread(server.start):
        async with Caller(server) as caller:
            await caller.ended(await caller.submit(asks(LONG, tokens=2)), 60)  # the kernel and the model are there

            async def client(number: int, token: int) -> None:
                async with turns:
                    if number % 2:
                        await _leaves(caller, token, seen)
                    else:
                        await _returns(caller, f"client-{number}", token, seen)
                task.progress(number, f"{len(seen.stopped)} stopped, {seen.same} the same bytes")

            await asyncio.gather(
                *(client(number, task.random.randint(1, LENGTH)) for number in range(1, task.rounds + 1))
            )
    step = percentile(seen.steps, 50)
    allowed = STOPPED_WITHIN + max(seen.steps, default=0)
    figure.broken = seen.broken
    figure.late = [
        f"compute stopped {seconds:.3f} s after the client had left" for seconds in seen.stopped if seconds > allowed
    ]
    figure.figure = (
        f"{len(seen.stopped)} left: compute stopped after median {percentile(seen.stopped, 50) * 1000:.0f} ms, "
        f"longest {max(seen.stopped, default=0) * 1000:.0f} ms (a decode step: {step * 1000:.0f} ms, longest "
        f"{max(seen.steps, default=0) * 1000:.0f} ms); "
        f"{seen.same} came back: all byte-identical"
    )
    return figure


async def _leaves(caller: Caller, token: int, seen: Seen) -> None:
    """Read to a token, leave, and see when the run's compute stopped: by the times that its events carry."""
    run_id = ""
    key = f"{token}-{time.monotonic_ns()}"
    body = {**asks(LONG), "metadata": {"key": key}, "session_id": key, "stream": True}
    async with aclosing(caller.stream(body)) as events:
        async for event in events:
            if tokens_in(event) >= token:
                break
    left = time.time()
    (listed,) = await caller.listed(session_id=key)
    run_id = listed["run_id"]
    run = await caller.ended(run_id, 30)
    log = await caller.log(run_id)
    seen.broken += [f"{run_id}: {fault}" for fault in faults_in(log)]
    if run["status"] != "cancelled":
        seen.broken.append(f"{run_id}, whose client left, is {run['status']}: {run.get('error')}")
    seen.stopped.append(max(0.0, log[-1]["time"] - left))
    seen.steps += _steps(log)


def _steps(log: list[dict[str, Any]]) -> list[float]:
    """Return how long a token took, between the pieces of a text: several tokens may have come in one."""
    pieces = [event for event in log if event["type"] == "token"]
    pairs = [(after["time"] - before["time"], after["tokens"] - before["tokens"]) for before, after in pairwise(pieces)]
    return [seconds / tokens for seconds, tokens in pairs if tokens > 0]


async def _returns(caller: Caller, key: str, token: int, seen: Seen) -> None:
    """Read to a token, leave, come back and read on; then read it all once more."""
    got: list[dict[str, Any]] = []
    body = {**asks(LONG, tokens=LENGTH), "session_id": key}
    async with aclosing(caller.stream(body, key)) as events:
        async for event in events:
            got.append(event)
            if tokens_in(event) >= token:
                break
    (listed,) = await caller.listed(session_id=key)
    run_id = listed["run_id"]
    async with aclosing(caller.events(run_id, after=got[-1]["id"])) as events:
        got += [event async for event in events]
    again = await caller.log(run_id)
    run = await caller.run(run_id)
    if got != again:
        seen.broken.append(f"{run_id}: left after token {token}, the two halves are not the log")
    elif text_of(got) != run["output"]["generated"]:
        seen.broken.append(f"{run_id}: {text_of(got)[:80]!r}... is not its output {run['output']!r:.80}...")
    else:
        seen.same += 1
    seen.broken += [f"{run_id}: {fault}" for fault in faults_in(again)]


if __name__ == "__main__":
    command(measure, 200, __doc__)
