"""R16: a kernel that dies before its first heartbeat: the run is over within 10 s, and a good kernel comes next.

``python -m tests.reliability.r16_stillborn_kernels [--rounds 8] [--seed N]``: a round starts a kernel that leaves at
once, leaves with 0, is killed, or is killed after it has started to import; then the kernel specification is put right.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path

from .caller import Caller, faults_in
from .documents import SHORT, asks, served
from .promise import Figure, Task, command
from .server_process import ServerProcess

WITHIN = 10.0
NAME = "fragile"
GOOD = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
BAD = {
    "leaves with 1": "raise SystemExit(1)",
    "leaves with 0": "pass",
    "killed": "import os; os.kill(os.getpid(), 9)",
    "killed while it imports": "import os, threading; threading.Timer(0.3, os.kill, (os.getpid(), 9)).start(); "
    "import ipykernel.kernelapp; threading.Event().wait()",
    "not there": "",
}


async def measure(task: Task) -> Figure:
    figure = Figure("R16", f"{task.rounds} kernels that die before their first heartbeat: over within 10 s", "")
    document = served(task.folder / "served")
    took: list[float] = []
    server = ServerProcess(task.folder / "server", [document], kernel_name=NAME)
    _specify(server.kernelspecs, GOOD)
    with await asyncio.to_thread(server.start):
        async with Caller(server) as caller:
            for number in range(1, task.rounds + 1):
                way = list(BAD)[(number - 1) % len(BAD)]
                program = ["/nonexistent/python"] if way == "not there" else [sys.executable, "-c", BAD[way]]
                _specify(server.kernelspecs, program)
                started = time.monotonic()
                run_ids = [await caller.submit(asks(SHORT, tokens=2)) for _ in range(3)]
                for run_id in run_ids:
                    await _dies(caller, run_id, way, figure)
                took.append(time.monotonic() - started)
                _specify(server.kernelspecs, GOOD)
                run = await caller.ended(await caller.submit(asks(SHORT, tokens=2)), 60)
                if run["status"] != "completed":
                    figure.broken.append(f"after a kernel that {way}: {run['status']}: {run.get('error')}")
                for kernel in (await caller.get("kernels")).json():
                    await caller.remove(f"kernels/{kernel['id']}")  # so that the next round starts one
                task.progress(number, f"{way}: over after {took[-1]:.1f} s")
    figure.late += [f"it took {seconds:.1f} s" for seconds in took if seconds > WITHIN]
    figure.figure = f"{len(took)} kernels, 3 runs each: over after at most {max(took):.1f} s; the next run completed"
    return figure


def _specify(folder: Path, argv: list[str]) -> None:
    (folder / NAME).mkdir(parents=True, exist_ok=True)
    spec = {"argv": argv, "display_name": NAME, "language": "python"}
    (folder / NAME / "kernel.json").write_text(json.dumps(spec))


async def _dies(caller: Caller, run_id: str, way: str, figure: Figure) -> None:
    try:
        run = await caller.ended(run_id, WITHIN)
    except AssertionError as error:
        figure.broken.append(f"a kernel that {way}: {error}")
        return
    error = run.get("error") or {}
    if (run["status"], error.get("code")) != ("failed", "kernel_died"):
        figure.broken.append(f"a kernel that {way}: {run_id} is {run['status']}: {error}")
    figure.broken += [f"{run_id}: {fault}" for fault in faults_in(await caller.log(run_id))]


if __name__ == "__main__":
    command(measure, 10, __doc__)
