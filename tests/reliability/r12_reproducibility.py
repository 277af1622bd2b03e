"""R12: the same request many times: alone and in company, streamed and not, in one process and in new ones: one output.

``python -m tests.reliability.r12_reproducibility [--rounds 1000] [--seed N]``: a round is a request.
The model is a tiny one. Greedy requests and seeded ones take turns.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from .promise import Figure, Task, command
from .server_process import ROOT

IN_A_PROCESS = 100
"""Rounds before a new process begins."""

KINDS: list[dict[str, Any]] = [{"do_sample": False}, {"do_sample": True, "temperature": 1.1, "top_p": 0.95}]


async def measure(task: Task) -> Figure:
    figure = Figure("R12", "the same request: one output", "")
    folder = await asyncio.to_thread(_model, task.folder)
    outputs: list[set[str]] = [set() for _ in KINDS]
    processes = max(2, -(-task.rounds // IN_A_PROCESS))
    done = 0
    for number in range(processes):
        rounds = (task.rounds - done) // (processes - number)
        found = await asyncio.to_thread(_in_a_process, folder, rounds, task.random.randrange(2**32))
        for place, texts in enumerate(found):
            outputs[place] |= set(texts)
        done += rounds
        task.progress(done, f"{[len(some) for some in outputs]} outputs")
    figure.broken += [f"{KINDS[place]}: {len(some)} outputs" for place, some in enumerate(outputs) if len(some) > 1]
    figure.figure = f"{done} requests in {processes} processes: {[len(some) for some in outputs]} outputs"
    return figure


def _model(folder: Path) -> Path:
    from tests.support import tiny_models

    return tiny_models.llama(folder / "llama")


def _in_a_process(folder: Path, rounds: int, seed: int) -> list[list[str]]:
    line = [sys.executable, "-W", "ignore", "-m", "tests.reliability.r12_reproducibility", "child"]
    done = subprocess.run(
        [*line, str(folder), str(rounds), str(seed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(folder: Path, rounds: int, seed: int) -> list[list[str]]:
    """Ask for the same again and again, a few at once, among others; return the texts by kind."""
    from mcnb.models.owner import ModelOwner
    from tests.models.calls import load_folder
    from tests.models.engine.conftest import Ask, submit, texts

    chance = random.Random(seed)
    owner = ModelOwner(load_folder(folder))
    found: list[list[str]] = [[] for _ in KINDS]
    done = 0
    while done < rounds:
        waiting = []
        for _ in range(min(chance.randint(1, 6), rounds - done)):
            for _ in range(chance.randint(0, 2)):
                submit(owner, Ask("The sea " * chance.randint(1, 60), chance.randrange(99), KINDS[1]))
            kind, pieces = done % len(KINDS), []
            ask = Ask("Once upon a time", 7, {**KINDS[kind], "max_output_length": 24})
            waiting.append((kind, submit(owner, ask, lambda text, tokens, to=pieces: to.append(text)), pieces))
            done += 1
        for kind, generation, pieces in waiting:
            found[kind] += [texts(generation)[0], "".join(pieces)]
    owner.close()
    return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        sys.stdout.write("\n" + json.dumps(child(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))) + "\n")
    else:
        command(measure, 1000, __doc__)
