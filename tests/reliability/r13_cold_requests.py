"""R13: 32 cold requests at once: one kernel, and exactly one load of the model.

``python -m tests.reliability.r13_cold_requests [--rounds 5] [--seed N]``: a round is a new server that has no kernel.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from .caller import Caller, faults_in
from .documents import SHORT, asks, served
from .promise import Figure, Task, command
from .server_process import ServerProcess

AT_ONCE = 32

COUNTS = """
import mcnb.models.loading as loading

load = loading.load

def counted(snapshot, *args, **options):
    with open({path!r}, "a") as file:
        file.write(snapshot.name + "\\n")
    return load(snapshot, *args, **options)

loading.load = counted
"""
"""What a kernel runs when it starts, as IPython lets its user: it writes down each load."""


async def measure(task: Task) -> Figure:
    figure = Figure("R13", f"{AT_ONCE} cold requests at once: exactly one load", "")
    document = served(task.folder / "served")
    loads: list[int] = []
    for number in range(1, task.rounds + 1):
        folder = task.folder / f"server-{number}"
        server = ServerProcess(folder, [document])
        written = _count_loads(folder)
        with await asyncio.to_thread(server.start):
            async with Caller(server) as caller:
                if server.kernels():
                    figure.broken.append(f"round {number}: there was a kernel before anybody had asked")
                replies = await asyncio.gather(*(caller.post(asks(SHORT, tokens=3)) for _ in range(AT_ONCE)))
                figure.broken += [f"answered {r.status_code}: {r.text[:200]}" for r in replies if r.status_code != 200]
                run_ids = [reply.json()["run_id"] for reply in replies if reply.status_code == 200]
                texts = {(await caller.get(f"workflows/runs/{run_id}", output_only="true")).text for run_id in run_ids}
                if len(texts) != 1:
                    figure.broken.append(f"round {number}: {len(texts)} different outputs")
                loads.append(len(written.read_text().splitlines()))
                for run_id in run_ids:
                    figure.broken += [f"{run_id}: {fault}" for fault in faults_in(await caller.log(run_id))]
                if len(server.kernels()) != 1:
                    figure.broken.append(f"round {number}: {len(server.kernels())} kernels")
        task.progress(number, f"{loads[-1]} load")
    figure.broken += [f"round {place + 1}: {count} loads" for place, count in enumerate(loads) if count != 1]
    figure.figure = f"{task.rounds} × {AT_ONCE} requests: {min(loads)} load each, at most {max(loads)}; one kernel each"
    return figure


def _count_loads(folder: Path) -> Path:
    """Have the kernels of a server write down their loads; return the file they write."""
    path = folder / "loads.txt"
    startup = folder / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "counts_loads.py").write_text(COUNTS.format(path=str(path)))
    path.touch()
    return path


if __name__ == "__main__":
    command(measure, 5, __doc__)
