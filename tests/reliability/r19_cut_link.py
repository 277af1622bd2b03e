"""R19: the link between two hosts of a Ray cluster is cut while a job runs: every key once, the same texts.

``python -m tests.reliability.r19_cut_link [--rounds 3] [--seed N]``: two hosts, each with a node of one cluster and a
worker; the command runs on the first. The cut is silent: Ray finds out by itself that nobody answers any more. It needs
root and iproute2.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from pathlib import Path

from tests.support.hosts import Hosts

from .batch_command import PATIENCE, BatchCommand, results_in
from .promise import Figure, Task, command

ROWS = 300
PORT = 6399
WORKERS = ("--engine", "ray", "--workers", "2", "--batch-size", "8")
RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")


async def measure(task: Task) -> Figure:
    figure = Figure("R19", f"{task.rounds} links cut: every key once", "")
    told: list[str] = []
    for number in range(1, task.rounds + 1):
        job = BatchCommand(task.folder / f"job{number}", ROWS, task.random.randrange(2**32), tokens=40)
        whole = BatchCommand(task.folder / f"whole{number}", ROWS, job.seed, tokens=40)
        whole.finish()
        with Hosts(own=[Path("/tmp/ray")]) as hosts:  # where Ray notes which node is that of this machine
            address = cluster(hosts, job.folder)
            process = job.start(*WORKERS, "--address", address, before=hosts.inside(0))
            job.wait_for(task.random.randint(ROWS // 10, ROWS // 3), process)
            kept = task.folder / f"journal{number}"
            os.link(job.journal, kept)
            done, workers = job.done(), {line["worker"] for line in results_in(kept)}
            hosts.cut(1)
            cut = time.monotonic()
            _, said = process.communicate(timeout=PATIENCE)
        if process.returncode:
            figure.broken.append(f"round {number}: the command left with {process.returncode}: {said.decode()}")
            continue
        figure.broken += [f"round {number}: {fault}" for fault in job.faults(whole.texts(), kept)]
        over = time.monotonic() - cut
        told.append(f"cut after {done} of {ROWS} rows of {len(workers)} workers, over {over:.0f} s later")
        task.progress(number, f"{told[-1]}: {said.decode().strip()}")
    figure.figure = f"two hosts, link {'; '.join(told)}; each key once, with the texts of a run in one process"
    return figure


def cluster(hosts: Hosts, folder: Path) -> str:
    """Start a node of one cluster on each host, with one CPU and a token, and return the cluster's address."""
    from mcnb.batch.on_ray.cluster import imported

    imported()
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    address = f"{hosts.addresses[0]}:{PORT}"
    for host in range(len(hosts.addresses)):
        place = ["--head", f"--port={PORT}", "--include-dashboard=false"] if host == 0 else [f"--address={address}"]
        _start(hosts, host, folder / f"node{host}.log", place)
    return address


def _start(hosts: Hosts, host: int, log: Path, place: list[str]) -> None:
    line = [*RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=157286400", *place]
    with log.open("wb") as file:
        node = hosts.start(host, [*line, f"--node-ip-address={hosts.addresses[host]}"], stdout=file, stderr=file)
    limit = time.monotonic() + PATIENCE
    while b"Ray runtime started" not in log.read_bytes():
        assert node.poll() is None, log.read_text()
        assert time.monotonic() < limit, log.read_text()
        time.sleep(0.2)


if __name__ == "__main__":
    command(measure, 1, __doc__)
