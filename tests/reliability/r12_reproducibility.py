"""R12: the same request many times: alone and in company, streamed and not, in one process and in new ones: one output.

``python -m tests.reliability.r12_reproducibility [--rounds 1000] [--seed N]``: a round is a request.
Processes take turns between a tiny model in float32 and SmolLM2 in bfloat16, requests between greedy and seeded ones.
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
from .r14_memory_estimate import SMOL
from .server_process import ROOT

IN_A_PROCESS = 100
"""Rounds before a new process begins."""

KINDS: list[dict[str, Any]] = [{"do_sample": False}, {"do_sample": True, "temperature": 1.1, "top_p": 0.95}]


async def measure(task: Task) -> Figure:
    figure = Figure("R12", "the same request: one output", "")
    models = await asyncio.to_thread(_models, task.folder)
    outputs: dict[str, set[str]] = {f"{model}, {_said(kind)}": set() for model in models for kind in KINDS}
    processes = max(len(models), -(-task.rounds // IN_A_PROCESS))
    done = 0
    for number in range(processes):
        rounds = (task.rounds - done) // (processes - number)
        model = list(models)[number % len(models)]
        found = await asyncio.to_thread(_in_a_process, *models[model], rounds, task.random.randrange(2**32))
        for kind, texts in zip(KINDS, found, strict=True):
            outputs[f"{model}, {_said(kind)}"] |= set(texts)
        done += rounds
        task.progress(done, f"{model}: {[len(some) for some in outputs.values()]} outputs")
    figure.broken += [f"{name}: {len(some)} outputs" for name, some in outputs.items() if len(some) != 1]
    told = ", ".join(f"{len(some)} of {name}" for name, some in outputs.items())
    figure.figure = f"{done} requests, each among others, streamed and whole, in {processes} processes: outputs: {told}"
    return figure


def _models(folder: Path) -> dict[str, tuple[Path, str]]:
    """Return folders and dtypes."""
    from mcnb.models.estimate import config_folder
    from tests.support import tiny_models

    return {
        "a tiny model in float32": (tiny_models.llama(folder / "llama"), "float32"),
        "SmolLM2 in bfloat16": (config_folder(SMOL, Path()), "bfloat16"),
    }


def _said(kind: dict[str, Any]) -> str:
    return "sampled" if kind["do_sample"] else "greedy"


def _in_a_process(folder: Path, dtype: str, rounds: int, seed: int) -> list[list[str]]:
    line = [sys.executable, "-W", "ignore", "-m", "tests.reliability.r12_reproducibility", "child"]
    done = subprocess.run(
        [*line, str(folder), dtype, str(rounds), str(seed)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: list[list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(folder: Path, dtype: str, rounds: int, seed: int) -> list[list[str]]:
    """Ask for the same again and again, a few at once, among others; return the texts by kind."""
    from mcnb.models.owner import ModelOwner
    from tests.models.calls import load_folder
    from tests.models.engine.conftest import Ask, submit, texts

    chance = random.Random(seed)
    owner = ModelOwner(load_folder(folder, dtype))
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
        _, _, place, computes_in, count, drawn = sys.argv
        sys.stdout.write("\n" + json.dumps(child(Path(place), computes_in, int(count), int(drawn))) + "\n")
    else:
        command(measure, 1000, __doc__)
