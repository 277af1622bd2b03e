"""R18: a node of a Ray cluster dies while a job runs: every key once, the same texts, and it is told.

``python -m tests.reliability.r18_lost_nodes [--rounds 3] [--seed N]``: a cluster of three nodes with a worker each and
a token of its own; at a random row, one of the two that the command is not connected to is killed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from typing import Any

from .batch_command import PATIENCE, BatchCommand, results_in
from .promise import Figure, Task, command

ROWS = 400
MEMORY_MONITOR = "RAY_memory_monitor_refresh_ms"
WORKERS = ("--engine", "ray", "--workers", "3", "--batch-size", "8")


async def measure(task: Task) -> Figure:
    return _measure(task)  # in this thread: Ray sets up signals


def _measure(task: Task) -> Figure:
    figure = Figure("R18", f"{task.rounds} nodes killed: every key once", "")
    told = rows = 0
    for number in range(1, task.rounds + 1):
        job = BatchCommand(task.folder / f"job{number}", ROWS, task.random.randrange(2**32), tokens=40)
        whole = BatchCommand(task.folder / f"whole{number}", ROWS, job.seed, tokens=40)
        whole.finish()
        with cluster(3) as found, job.start(*WORKERS, "--address", found.address) as process:
            at = task.random.randint(1, ROWS // 2)
            job.wait_for(at, process)
            if process.poll() is None:
                kept = task.folder / f"journal{number}"
                os.link(job.journal, kept)
                done = job.done()
                workers = {line["worker"] for line in results_in(kept)}
                found.remove_node(task.random.choice(sorted(found.worker_nodes, key=str)), allow_graceful=False)
            else:
                figure.broken.append(f"round {number}: the job was over before the node was killed")
                continue
            _, said = process.communicate(timeout=PATIENCE)
        if process.returncode:
            figure.broken.append(f"round {number}: the command left with {process.returncode}: {said.decode()}")
            continue
        told += b"is gone" in said
        rows += ROWS - done
        figure.broken += [f"round {number}: {fault}" for fault in job.faults(whole.texts(), kept)]
        figure.broken += [] if b"is gone" in said else [f"round {number}: the dead node was not told of: {said!r}"]
        task.progress(number, f"killed after {done} of {ROWS} rows, of {len(workers)} workers: {said.decode().strip()}")
    figure.figure = (
        f"{task.rounds} nodes of clusters of 3 killed in jobs of {ROWS} rows: each key once, with the texts of a run "
        f"in one process; {rows} rows were computed after the kills, {told} kills told of"
    )
    return figure


@contextlib.contextmanager
def cluster(nodes: int) -> Iterator[Any]:
    """Start a cluster of nodes with one CPU each, on this machine, with a token of its own."""
    from mcnb.batch.on_ray.connection import imported

    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    os.environ[MEMORY_MONITOR] = "0"  # what else this machine computes must not have workers killed
    imported()  # it reads them
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        for _ in range(nodes - 1):
            made.add_node(num_cpus=1)
        yield made
    finally:
        made.shutdown()


if __name__ == "__main__":
    command(measure, 3, __doc__)
