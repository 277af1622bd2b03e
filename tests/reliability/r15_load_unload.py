"""R15: 200 times a model is loaded, used and unloaded in one process: its memory grows by 3 % at most.

``python -m tests.reliability.r15_load_unload [--rounds 200] [--seed N]``: a round is one cycle, with architectures in
turns; what the first ones bring in for good (code, measurements, threads' memory) is not growth.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys

from .promise import Figure, Task, command
from .server_process import ROOT

MOST = 0.03


async def measure(task: Task) -> Figure:
    figure = Figure("R15", f"{task.rounds} load/unload cycles: memory grows by {MOST:.0%} at most", "")
    line = [sys.executable, "-m", "tests.reliability.cycles_child", str(task.folder), "--cycles", str(task.rounds)]
    done = await asyncio.to_thread(subprocess.run, line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the process left with {done.returncode}: {done.stderr[-2000:]}")
    sizes = json.loads(done.stdout.splitlines()[-1])
    before, after = sizes[0], sizes[-1]
    growth = after / before - 1
    if growth > MOST:
        figure.broken.append(f"{before / 1e6:.0f} MB became {after / 1e6:.0f} MB: {[round(s / 1e6) for s in sizes]}")
    figure.figure = f"{task.rounds} cycles: {before / 1e6:.0f} MB, then {after / 1e6:.0f} MB ({growth:+.2%})"
    return figure


if __name__ == "__main__":
    command(measure, 200, __doc__)
