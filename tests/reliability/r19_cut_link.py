"""R19: the link between two hosts of a Ray cluster is cut while a job runs: every key once, the same texts.

``python -m tests.reliability.r19_cut_link [--rounds 1] [--seed N]``: two network namespaces, each with a node of one
cluster and a worker; the command runs on the first. It needs root and ``ip`` of iproute2.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

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
        with Hosts(task.folder / f"ray{number}") as hosts:
            address = f"{hosts.addresses[0]}:{PORT}"
            with job.start(*WORKERS, "--address", address, before=hosts.inside(0)) as process:
                job.wait_for(task.random.randint(ROWS // 10, ROWS // 3), process)
                kept = task.folder / f"journal{number}"
                os.link(job.journal, kept)
                done, workers = job.done(), {line["worker"] for line in results_in(kept)}
                hosts.cut()
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


def cuts_here() -> bool:
    """Whether this machine lets us make network namespaces."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        return False
    name = f"mcnb{secrets.token_hex(3)}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0
    if made:
        _ip("netns", "del", name)
    return made


class Hosts:
    """Two hosts with a link between them and a node of one cluster on each."""

    def __init__(self, folder: Path) -> None:
        mark = secrets.token_hex(2)
        self._names = [f"mcnb{mark}a", f"mcnb{mark}b"]
        self.addresses = ["10.213.7.1", "10.213.7.2"]
        self._folder = folder
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._stack = contextlib.ExitStack()

    def inside(self, host: int) -> list[str]:
        """What to put before a command to run it on a host."""
        return ["ip", "netns", "exec", self._names[host]]

    def cut(self) -> None:
        """Cut the link."""
        _ip("-n", self._names[1], "link", "set", "veth0", "down")

    def __enter__(self) -> Hosts:
        from mcnb.batch.on_ray.cluster import imported

        imported()
        os.environ["RAY_AUTH_MODE"] = "token"
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(16))
        with contextlib.ExitStack() as stack:
            for name in self._names:
                _ip("netns", "add", name)
                stack.callback(_ip, "netns", "del", name)
                _ip("-n", name, "link", "set", "lo", "up")
            one, other = self._names
            _ip("link", "add", "veth0", "netns", one, "type", "veth", "peer", "name", "veth0", "netns", other)
            for name, address in zip(self._names, self.addresses, strict=True):
                _ip("-n", name, "addr", "add", f"{address}/24", "dev", "veth0")
                _ip("-n", name, "link", "set", "veth0", "up")
            stack.callback(self._end)
            head = ["--head", f"--port={PORT}", "--include-dashboard=false"]
            self._start(0, *head)
            self._start(1, f"--address={self.addresses[0]}:{PORT}")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, host: int, *more: str) -> None:
        line = [*self.inside(host), *RAY, "start", "--block", "--num-cpus=1", "--object-store-memory=157286400", *more]
        said = self._folder.with_name(f"{self._folder.name}-{host}.log")
        with said.open("wb") as file:
            self._nodes.append(
                subprocess.Popen([*line, f"--node-ip-address={self.addresses[host]}"], stdout=file, stderr=file)
            )
        limit = time.monotonic() + PATIENCE
        while b"Ray runtime started" not in said.read_bytes():
            assert self._nodes[-1].poll() is None, said.read_text()
            assert time.monotonic() < limit, said.read_text()
            time.sleep(0.2)

    def _end(self) -> None:
        """End every process of the two hosts, and no other one."""
        for name in self._names:
            found = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=True).stdout
            for pid in found.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
        for node in self._nodes:
            node.wait()


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


if __name__ == "__main__":
    command(measure, 1, __doc__)
