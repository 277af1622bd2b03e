"""R4: ``kill -9`` of the server, also between commit and reply: one run for each key, and nothing forgotten.

``python -m tests.reliability.r04_server_kills [--rounds 100] [--seed N]``: each round sends six POSTs with a key each,
kills the server at a random point (some time after they were sent, at one of their commits, after some replies, or
while a run decodes), starts it again on the same database and sends all six again with the same keys.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from contextlib import aclosing, closing
from typing import Any

import httpx

from .caller import TERMINAL, Caller, faults_in, tokens_in
from .documents import LONG, SHORT, asks, served
from .promise import Figure, Task, command
from .server_process import ServerProcess

AT_ONCE = 6
POINTS = ("some time", "commit", "commit", "commit", "replies", "decoding")


class Ledger:
    """What the client knows: which run each key got, and how the runs that were over had ended."""

    def __init__(self, figure: Figure) -> None:
        self.runs: dict[str, str] = {}
        self.over: dict[str, dict[str, Any]] = {}
        self.figure = figure

    def note(self, key: str, run_id: str) -> None:
        if self.runs.setdefault(key, run_id) != run_id:
            self.figure.broken.append(f"{key} got {run_id}, and before {self.runs[key]}")

    def look(self, listed: list[dict[str, Any]]) -> None:
        """Compare the list with what was known: rows that were over stay as they were, and none is gone."""
        told = {run["run_id"]: run for run in listed}
        gone = set(self.runs.values()) - set(told)
        self.figure.broken += [f"{run_id} was acknowledged and is gone" for run_id in sorted(gone)]
        for run_id, run in told.items():
            if run["status"] in TERMINAL:
                end = {name: run.get(name) for name in ("status", "error", "finished", "events")}
                if self.over.setdefault(run_id, end) != end:
                    self.figure.broken.append(f"{run_id} was {self.over[run_id]} and is {end}")


async def measure(task: Task) -> Figure:
    figure = Figure("R4", f"{task.rounds} server kills: one run for each key", "")
    document = served(task.folder / "served")
    ledger = Ledger(figure)
    counts: Counter[str] = Counter()
    server = ServerProcess(task.folder / "server", [document], queue_length=100_000)
    with await asyncio.to_thread(server.start):
        for number in range(1, task.rounds + 1):
            point = task.random.choice(POINTS) if number > 1 else "decoding"
            bodies = {f"{number}-{place}": _body(f"{number}-{place}", task) for place in range(AT_ONCE)}
            await _round(server, task, point, bodies, ledger, counts)
            task.progress(number, f"{point}: {counts['committed, not answered']} committed and not answered so far")
        async with Caller(server) as caller:
            await _settle(caller, ledger, counts)
    figure.figure = (
        f"{task.rounds} kills, {len(ledger.runs)} keys, one run each; {counts['committed, not answered']} had been "
        f"committed and not answered; ended: {counts['completed']} completed, "
        f"{counts['server_restarted']} server_restarted"
    )
    return figure


def _body(key: str, task: Task) -> dict[str, Any]:
    return asks(SHORT, tokens=task.random.randint(1, 3), metadata={"key": key}, wait_for_completion=False)


async def _round(
    server: ServerProcess, task: Task, point: str, bodies: dict[str, Any], ledger: Ledger, counts: Counter[str]
) -> None:
    decoding: str | None = None
    async with Caller(server) as caller:
        if point == "decoding":
            decoding = await _decoding(caller, ledger)
        commits = asyncio.create_task(asyncio.to_thread(_kill_at_commit, server, task.random.randint(1, 3)))
        if point != "commit":
            commits.cancel()
        posts = [asyncio.create_task(_post(caller, key, body, ledger)) for key, body in bodies.items()]
        if point == "some time":
            await asyncio.sleep(task.random.uniform(0, 0.06))
        elif point == "replies":
            await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
        elif point == "commit":
            await commits
        await asyncio.to_thread(server.kill)
        answered = [key for key, known in zip(bodies, await asyncio.gather(*posts), strict=True) if known]
    await asyncio.to_thread(server.start)
    async with Caller(server) as caller:
        listed = await caller.listed()
        rows = {(run.get("metadata") or {}).get("key") for run in listed}
        counts["committed, not answered"] += len((rows & set(bodies)) - set(answered))
        ledger.look(listed)
        for key, body in bodies.items():
            if not await _post(caller, key, body, ledger):
                ledger.figure.broken.append(f"{key} was not answered by the server that was started again")
        if decoding is not None:
            run = await caller.ended(decoding, 10)
            if (run.get("error") or {}).get("code") != "server_restarted":
                ledger.figure.broken.append(f"{decoding} was decoding when the server was killed, and is {run}")


async def _post(caller: Caller, key: str, body: dict[str, Any], ledger: Ledger) -> bool:
    """Send one POST and note which run it got; return False when there was no answer."""
    try:
        reply = await caller.post(body, key)
    except httpx.TransportError:
        return False
    if reply.status_code not in (200, 202):
        ledger.figure.broken.append(f"{key} was answered with {reply.status_code}: {reply.text[:200]}")
        return True
    ledger.note(key, reply.json()["run_id"])
    return True


async def _decoding(caller: Caller, ledger: Ledger) -> str:
    """Ask for a long run and return its id once it decodes."""
    run_id = await caller.submit(asks(LONG, priority="interactive"))
    ledger.runs[run_id] = run_id
    async with aclosing(caller.events(run_id)) as events:
        async for event in events:
            if tokens_in(event) > 0:
                return run_id
    raise AssertionError(f"{run_id} ended before it decoded: {await caller.run(run_id)}")


def _kill_at_commit(server: ServerProcess, number: int) -> None:
    """Kill the server as soon as the database has changed so many times, seen from outside."""
    with closing(sqlite3.connect(f"file:{server.database}?mode=ro", uri=True, isolation_level=None)) as reader:
        version = reader.execute("PRAGMA data_version").fetchone()
        for _ in range(200_000):
            now = reader.execute("PRAGMA data_version").fetchone()
            if now != version:
                version, number = now, number - 1
                if number == 0:
                    break
    server.kill()


async def _settle(caller: Caller, ledger: Ledger, counts: Counter[str]) -> None:
    """Wait until all runs are over, and look at each."""
    for run_id in list(ledger.runs.values()):
        run = await caller.ended(run_id, 120)
        end = (run.get("error") or {}).get("code", run["status"])
        counts[end] += 1
        if end not in ("completed", "server_restarted"):
            ledger.figure.broken.append(f"{run_id} ended as {end}: {run.get('error')}")
        ledger.figure.broken += [f"{run_id}: {fault}" for fault in faults_in(await caller.log(run_id))]
    listed = await caller.listed()
    ledger.look(listed)
    keys = Counter((run.get("metadata") or {}).get("key") for run in listed)
    keys.pop(None, None)
    ledger.figure.broken += [f"{key} has {count} runs" for key, count in keys.items() if count != 1]


if __name__ == "__main__":
    command(measure, 100, __doc__)
