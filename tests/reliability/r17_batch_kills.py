"""R17: ``kill -9`` of ``mcnb batch`` at random points: every key once, and nothing computed twice that was finished.

``python -m tests.reliability.r17_batch_kills [--rounds 20] [--seed N]``: jobs of 200 rows, each killed at random points
(some time after its start, at a row, while it writes its output) and gone on with until it is done. Of ten kills two
hit a job on Ray, of which no process may be left.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil

from .batch_command import BatchCommand, results_in
from .promise import Figure, Task, command

ROWS = 200
POINTS = ("row", "row", "row", "some time", "output")
ON_RAY = ("--engine", "ray", "--workers", "2", "--batch-size", "8")
LONGEST = 5.0


async def measure(task: Task) -> Figure:
    return await asyncio.to_thread(_measure, task)


def _measure(task: Task) -> Figure:
    figure = Figure("R17", f"{task.rounds} kills of mcnb batch: every key once", "")
    counts: Counter[str] = Counter()
    kills = jobs = 0
    while kills < task.rounds:
        jobs += 1
        job = BatchCommand(task.folder / f"job{jobs}", ROWS, task.random.randrange(2**32))
        whole = BatchCommand(task.folder / f"whole{jobs}", ROWS, job.seed)
        whole.finish()
        kept: Path | None = None
        for _ in range(task.random.randint(2, 5)):
            point = task.random.choice(POINTS)
            on_ray = kills % 10 in (4, 9)
            before = _read(job, kept)
            ended = _killed(job, point, task, on_ray=on_ray)
            if kept is None and job.journal.exists():
                kept = task.folder / f"journal{jobs}"
                os.link(job.journal, kept)  # the file stays when the command removes it
            if ended:
                break
            kills += 1
            counts[f"{point}{' on Ray' if on_ray else ''}"] += 1
            after = _read(job, kept)
            if after[: len(before)] != before:
                figure.broken.append(f"job {jobs}: the journal has lost results")
            task.progress(kills, f"{point}{', on Ray' if on_ray else ''}: {len(after)} of {ROWS} rows done")
            if kills == task.rounds:
                break
        job.finish()
        figure.broken += [f"job {jobs}: {fault}" for fault in job.faults(whole.texts(), kept)]
    figure.broken += _left()
    told = ", ".join(f"{count} at {point}" for point, count in sorted(counts.items()))
    figure.figure = (
        f"{kills} kills of {jobs} jobs of {ROWS} rows ({told}); each key once, each finished row computed once"
    )
    return figure


def _read(job: BatchCommand, kept: Path | None) -> list[dict[str, Any]]:
    return results_in(kept or job.journal) if (kept or job.journal).exists() else []


def _killed(job: BatchCommand, point: str, task: Task, *, on_ray: bool) -> bool:
    """Start the command and kill it; return whether it had ended before."""
    with job.start(*(ON_RAY if on_ray else ())) as process:
        if point == "row":
            job.wait_for(min(ROWS - 1, job.done() + task.random.randint(1, ROWS // 3)), process)
        elif point == "some time":
            time.sleep(task.random.uniform(0, LONGEST))
        else:
            while process.poll() is None and not list(job.folder.glob(".out.jsonl.*")) and not job.output.exists():
                time.sleep(0.0005)
        ended = process.poll() is not None
        process.kill()
        process.communicate()
    for scratch in job.folder.glob(".out.jsonl.*"):
        scratch.unlink()
    return ended


def _left() -> list[str]:
    """Return the Ray processes of this machine that no living command started; they get a moment to notice."""
    limit = time.monotonic() + 20
    while True:
        left = [p for p in psutil.process_iter(["name", "ppid"]) if p.info["name"] == "raylet" and p.info["ppid"] == 1]
        if not left or time.monotonic() > limit:
            return [f"process {process.pid} of a killed job is left" for process in left]
        time.sleep(0.5)


if __name__ == "__main__":
    command(measure, 20, __doc__)
