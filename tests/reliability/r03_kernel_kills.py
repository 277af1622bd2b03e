"""R3: ``kill -9`` of the runtime kernel at random points: no run is lost or stuck, and the next one works.

``python -m tests.reliability.r03_kernel_kills [--rounds 200] [--seed N]``: each round asks for two runs, kills the
kernel while the first is queued, loading, reading its prompt, decoding or about to be persisted, and waits for the end
of that run. Two servers share the rounds, since a kernel spends most of its start importing. That a round of decoding
gets to its kill is the proof that the next run works after the kill before; that every second run ended is looked at
when all rounds are over.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from contextlib import aclosing
from typing import Any

from .caller import TERMINAL, Caller, faults_in, tokens_in
from .documents import LONG, SHORT, asks, served
from .promise import Figure, Task, command, percentile
from .server_process import ServerProcess, kill

POINTS = ("queued", "loading", "prompt", "decoding", "persisting")
LANES = 2
WITHIN = 10.0
"""Seconds from the kill to the terminal state."""

FEW = 40
"""Tokens of a run that is killed when it is about to be persisted."""


class Victim:
    """One run whose kernel is killed at a point, as its events tell of it."""

    def __init__(self, server: ServerProcess, caller: Caller, point: str, drawn: random.Random) -> None:
        self.point = point
        self.killed_at: float | None = None
        self.ended_at = 0.0
        self.log: list[dict[str, Any]] = []
        self._server = server
        self._caller = caller
        self._delay = drawn.uniform(0, 3.0)
        self._token = drawn.randint(1, 250) if point == "decoding" else FEW - drawn.randint(0, 2)
        self._timer: asyncio.Task[None] | None = None

    async def live(self) -> str:
        """Ask for the run, kill its kernel, and follow it to its end; return the run's id."""
        workflow = LONG if self.point in ("loading", "prompt", "decoding") else SHORT
        run_id = await self._caller.submit(asks(workflow, tokens=FEW if self.point == "persisting" else None))
        if self.point == "queued":
            self._kill_later()
        async with aclosing(self._caller.events(run_id)) as events:
            async for event in events:
                self.log.append(event)
                self._notice(event)
        self.ended_at = time.monotonic()
        if self._timer is not None:
            self._timer.cancel()
        return run_id

    def _notice(self, event: dict[str, Any]) -> None:
        working = event["type"] == "state" and event["state"] == "processing"
        if working and self.point == "loading":
            self._kill_later()
        arrived = {
            "queued": working,
            "loading": event["type"] == "prompt",
            "prompt": event["type"] == "prompt",
            "decoding": tokens_in(event) >= self._token,
            "persisting": tokens_in(event) >= self._token or event["type"] == "output",
        }
        if arrived[self.point]:
            self._kill()

    def _kill_later(self) -> None:
        async def later() -> None:
            await asyncio.sleep(self._delay)
            while not self._kill():  # noqa: ASYNC110
                await asyncio.sleep(0.005)

        self._timer = asyncio.create_task(later())

    def _kill(self) -> bool:
        if self.killed_at is None:
            killed = [pid for pid in self._server.kernels() if kill(pid)]
            self.killed_at = time.monotonic() if killed else None
        return self.killed_at is not None


async def measure(task: Task) -> Figure:
    figure = Figure("R3", f"{task.rounds} kernel kills at random points: terminal within {WITHIN:.0f} s", "")
    document = served(task.folder / "served")
    took: list[float] = []
    went_on: list[float] = []
    ends: Counter[str] = Counter()
    numbers = iter(range(1, task.rounds + 1))

    async def lane(name: str) -> None:
        drawn = random.Random(f"{task.seed} {name}")
        others: list[str] = []
        server = ServerProcess(task.folder / name, [document])
        with await asyncio.to_thread(server.start):
            pid = server.pid
            async with Caller(server) as caller:
                for number in numbers:
                    victim = Victim(server, caller, drawn.choice(POINTS), drawn)
                    first, second = await asyncio.gather(victim.live(), caller.submit(asks(SHORT, tokens=3)))
                    others.append(second)
                    end = await _judge(caller, first, victim, figure)
                    ends[f"{victim.point}: {end}"] += 1
                    if victim.killed_at is not None:
                        # one that its kernel had not touched goes on in the next kernel, which has to start first
                        ended = went_on if (victim.point, end) == ("queued", "completed") else took
                        ended.append(victim.ended_at - victim.killed_at)
                    task.progress(number, f"{victim.point}: {end}")
                await _settle(caller, others, figure)
            if pid != server.pid:
                figure.broken.append(f"{name}: the server was started again")

    await asyncio.gather(*(lane(f"server-{number}") for number in range(LANES if task.rounds > LANES else 1)))
    figure.late += [f"it took {seconds:.1f} s from a kill to the end" for seconds in took if seconds > WITHIN]
    figure.figure = (
        f"{len(took) + len(went_on)} kills, none lost, stuck or in two end states; end after the kill: median "
        f"{percentile(took, 50):.1f} s, longest {max(took, default=0):.1f} s; {len(went_on)} went on in the next "
        "kernel; " + ", ".join(f"{name} {count}" for name, count in sorted(ends.items()))
    )
    return figure


async def _judge(caller: Caller, run_id: str, victim: Victim, figure: Figure) -> str:
    """Check a killed run: how it ended, and that its log and what the server tells of it say the same."""
    run = await caller.run(run_id)
    error = run.get("error") or {}
    end = str(error.get("code", run["status"]))
    figure.broken += [f"{victim.point} {run_id}: {fault}" for fault in faults_in(victim.log)]
    if victim.log[-1].get("state") != run["status"]:
        figure.broken.append(f"{run_id}: its log ends with {victim.log[-1]}, its row says {run['status']}")
    # A run that waits goes on in the next kernel, and one that is nearly over may be quicker than the kill.
    allowed = {"kernel_died"} if victim.point in ("prompt", "decoding") else {"kernel_died", "completed"}
    if end not in allowed:
        figure.broken.append(f"{victim.point} {run_id}: {end}: {error}")
    if victim.killed_at is None and victim.point != "persisting":
        figure.broken.append(f"{victim.point} {run_id}: it was over before there was anything to kill")
    return end


async def _settle(caller: Caller, run_ids: list[str], figure: Figure) -> None:
    """Check that a new run completes and that every other run is over, each in one way."""
    last = await caller.ended(await caller.submit(asks(SHORT)), 60)
    if last["status"] != "completed":
        figure.broken.append(f"the run after the last kill is {last['status']}: {last.get('error')}")
    for run_id in run_ids:
        run = await caller.ended(run_id, 60)
        figure.broken += [f"{run_id}: {fault}" for fault in faults_in(await caller.log(run_id))]
        if run["status"] != "completed" and run["error"]["code"] != "kernel_died":
            figure.broken.append(f"{run_id}, which was there when a kernel was killed, is {run['error']}")
    stuck = [run["run_id"] for run in await caller.listed() if run["status"] not in TERMINAL]
    figure.broken += [f"{run_id} is stuck" for run_id in stuck]


if __name__ == "__main__":
    command(measure, 200, __doc__)
