"""A server that is killed at any moment: every run it acknowledged is in the file."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

from mcnb.server.store import RunStore

TURNS = 20


def killed_after(path: Path, turn: int, lines: int) -> dict[str, int]:
    """Start a process that accepts, kill it after some lines; return what it said: the events of each run."""
    command = [sys.executable, "-m", "tests.server.store.accept_for_ever", str(path), str(turn)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process, process.stdout:
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.readlines()
    assert process.returncode
    whole = [line.split() for line in said if line.endswith("\n")]
    return {name: int(events) for name, events in whole}


def test_every_acknowledged_run_survives_a_kill(path: Path) -> None:
    seed = 20
    draw = random.Random(seed)
    acknowledged: dict[str, int] = {}
    for turn in range(TURNS):
        said = killed_after(path, turn, draw.randint(1, 60))
        assert said
        acknowledged |= said

    async def scenario() -> None:
        store = RunStore.open(path)
        stored = {run.id: run for run in await store.unfinished()}
        assert acknowledged.keys() <= stored.keys()
        for name, run in stored.items():
            assert run.events >= acknowledged.get(name, 1)
            assert [event["id"] for event in await store.events(name)] == list(range(1, run.events + 1))
        assert [run.number for run in stored.values()] == list(range(1, len(stored) + 1))
        store.close()

    asyncio.run(scenario())
