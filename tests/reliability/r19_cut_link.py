"""R19: a link is cut while a job runs on a Ray cluster of two hosts: every key once, the same texts.

``python -m tests.reliability.r19_cut_link [--rounds 3] [--seed N]``: three hosts, of which two have a node of one
cluster and a worker each. In turn: the command runs on the head, and the other node is cut off; it runs on the third
host, through Ray's client, and the other node is cut off; it runs there, and is cut off itself, which it says, and goes
on when the link is mended. The cuts are silent: whoever is left finds out that nobody answers any more. It needs
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

ROWS = 400
PORT, CLIENT_PORT = 6399, 10001
MEMORY_MONITOR = "RAY_memory_monitor_refresh_ms"
WORKERS = ("--engine", "ray", "--workers", "2", "--batch-size", "8")
RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")

HEAD, NODE, OUTSIDE = 0, 1, 2
TURNS = ((HEAD, NODE), (OUTSIDE, NODE), (OUTSIDE, OUTSIDE))
"""On which host the command runs, and which one is cut off."""

NAMES = {(HEAD, NODE): "a node", (OUTSIDE, NODE): "a node of a client", (OUTSIDE, OUTSIDE): "a client"}


async def measure(task: Task) -> Figure:
    figure = Figure("R19", f"{task.rounds} links cut: every key once", "")
    told = []
    for number in range(1, task.rounds + 1):
        runs, lost = TURNS[(number - 1) % len(TURNS)]
        job = BatchCommand(task.folder / f"job{number}", ROWS, task.random.randrange(2**32), tokens=40)
        whole = BatchCommand(task.folder / f"whole{number}", ROWS, job.seed, tokens=40)
        whole.finish()
        kept = task.folder / f"journal{number}"
        at = task.random.randint(ROWS // 10, ROWS // 3)
        with Hosts(3, own=[Path("/tmp/ray")]) as hosts:  # where Ray notes which node is that of this machine
            cluster(hosts, job.folder)
            text, faults = _cut(hosts, runs, lost, job, kept, at)
        faults += job.faults(whole.texts(), kept) if job.output.exists() else ["there is no output"]
        figure.broken += [f"round {number}: {fault}" for fault in faults]
        told.append(f"{NAMES[runs, lost]} {text.splitlines()[0]}")
        task.progress(number, f"{NAMES[runs, lost]} {text}")
    figure.figure = (
        f"clusters of two hosts, jobs of {ROWS} rows; cut off: {'; '.join(told)}; each key once, with the texts of a "
        "run in one process"
    )
    return figure


def _cut(hosts: Hosts, runs: int, lost: int, job: BatchCommand, kept: Path, at: int) -> tuple[str, list[str]]:
    """Run a job, cut a link in the middle, and return what happened, and what should not have."""
    address = f"ray://{hosts.addresses[HEAD]}:{CLIENT_PORT}" if runs == OUTSIDE else f"{hosts.addresses[HEAD]}:{PORT}"
    line = (*WORKERS, "--address", address)
    process = job.start(*line, before=hosts.inside(runs))
    job.wait_for(at, process)
    os.link(job.journal, kept)
    while len(_workers(kept)) < 2 and process.poll() is None:
        time.sleep(0.01)
    hosts.cut(lost)
    done, cut = job.done(), time.monotonic()
    if process.poll() is not None or done == ROWS:
        return "", ["the job was over before the link was cut"]
    _, said = process.communicate(timeout=PATIENCE)
    text = f"after {done} rows, over {time.monotonic() - cut:.0f} s later"
    if lost == NODE:
        faults = [] if process.returncode == 0 else [f"the command left with {process.returncode}"]
        faults += [] if b"is gone" in said else ["the lost host was not told of"]
    else:
        faults = [] if process.returncode == 1 else [f"the command left with {process.returncode}"]
        faults += [] if b"the connection to the Ray cluster is lost" in said else ["the lost link was not told of"]
        text = f"{text}, with {job.done()} rows, and gone on with"
        hosts.mend(lost)
        with job.start(*line, before=hosts.inside(runs)) as again:
            said += again.communicate(timeout=PATIENCE)[1]
        faults += [] if again.returncode == 0 else [f"going on left with {again.returncode}"]
    return f"{text}\n{said.decode().strip()}", faults


def _workers(journal: Path) -> set[str]:
    return {line["worker"] for line in results_in(journal)}


def cluster(hosts: Hosts, folder: Path) -> None:
    """Start a node of one cluster on the first two hosts, with one CPU each and a token."""
    from mcnb.batch.on_ray.connection import imported

    imported()
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
    os.environ[MEMORY_MONITOR] = "0"  # what else this machine computes must not have workers killed
    head = ["--head", f"--port={PORT}", f"--ray-client-server-port={CLIENT_PORT}", "--include-dashboard=false"]
    _start(hosts, HEAD, folder / "head.log", head)
    _start(hosts, NODE, folder / "node.log", [f"--address={hosts.addresses[HEAD]}:{PORT}"])


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
    command(measure, 3, __doc__)
