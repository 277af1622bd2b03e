"""R5: the disk is full while runs are written: 507, nothing acknowledged is lost, and all is well when there is space.

``python -m tests.reliability.r05_full_disk [--rounds 10] [--seed N]``: the database is on a disk in memory of 8 MB,
mounted in a name space of its own (``unshare --mount``, with ``--map-root-user`` for those who are not root). A round
starts runs, fills the disk while they decode, asks until the server answers 507, frees the disk and waits for all runs.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import shutil
import subprocess
import sys
import time
from contextlib import aclosing
from pathlib import Path
from typing import Any

import httpx

from .caller import Caller, faults_in, tokens_in
from .documents import LONG, SHORT, asks, served
from .promise import Figure, Task, command
from .server_process import ServerProcess

SIZE = 8 * 1024 * 1024
BLOCK = 4096
PATIENCE = 60.0
UNSHARE = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


class SmallDisk:
    """A disk in memory, and a file on it that takes what is free."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"
        folder.mkdir(parents=True)
        library = ctypes.CDLL(None, use_errno=True)
        if library.mount(b"tmpfs", os.fsencode(folder), b"tmpfs", 0, f"size={SIZE}".encode()) != 0:
            raise OSError(ctypes.get_errno(), f"no disk can be mounted: run it under {' '.join(UNSHARE)}")

    def fill(self) -> None:
        """Take all that is free; whatever the server frees meanwhile is taken too."""
        with self._ballast.open("ab", buffering=0) as file:
            try:
                while file.write(b"\0" * BLOCK):
                    pass
            except OSError:
                pass  # the disk is full

    def free(self) -> None:
        self._ballast.unlink()


async def measure(task: Task) -> Figure:
    figure = Figure("R5", f"{task.rounds} times a full disk: 507, nothing lost, goes on when there is space", "")
    disk = SmallDisk(task.folder / "disk")
    document = served(task.folder / "served")
    refused = 0
    acknowledged: list[str] = []
    recovered: list[float] = []
    server = ServerProcess(task.folder / "server", [document], database=str(disk.folder / "runs.db"))
    with await asyncio.to_thread(server.start):
        async with Caller(server) as caller:
            for number in range(1, task.rounds + 1):
                watched = await caller.submit(asks(LONG, tokens=task.random.randint(400, 800)))
                acknowledged += [watched, *[await caller.submit(asks(SHORT)) for _ in range(3)]]
                await _decodes(caller, watched, task.random.randint(1, 100))
                disk.fill()
                replies = await _until_refused(caller, disk)
                refused += sum(reply.status_code == httpx.codes.INSUFFICIENT_STORAGE for reply in replies)
                figure.broken += [f"round {number}: {fault}" for reply in replies for fault in _faults(reply)]
                acknowledged += [reply.json()["run_id"] for reply in replies if reply.status_code in (200, 202)]
                if (health := (await caller.get("health")).status_code) != httpx.codes.OK:
                    figure.broken.append(f"round {number}: health is {health} while the disk is full")
                disk.free()
                started = time.monotonic()
                acknowledged.append(await _accepted(caller, figure))
                recovered.append(time.monotonic() - started)
                for run_id in acknowledged[-8:]:
                    await _complete(caller, run_id, figure)
                task.progress(number, f"{refused} refused with 507 so far, recovered in {recovered[-1]:.1f} s")
            listed = {run["run_id"] for run in await caller.listed()}
            figure.broken += [
                f"{run_id} was acknowledged and is gone" for run_id in acknowledged if run_id not in listed
            ]
            for run_id in acknowledged:
                await _complete(caller, run_id, figure)
    figure.figure = (
        f"{task.rounds} times full: {refused} × 507, {len(acknowledged)} acknowledged runs, all completed; "
        f"next run accepted at most {max(recovered):.1f} s after there was space"
    )
    return figure


async def _decodes(caller: Caller, run_id: str, token: int) -> None:
    async with aclosing(caller.events(run_id)) as events:
        async for event in events:
            if tokens_in(event) >= token:
                return


async def _until_refused(caller: Caller, disk: SmallDisk) -> list[httpx.Response]:
    """Ask for runs until one is refused; pages the database had left may still take a few."""
    replies: list[httpx.Response] = []
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        replies.append(await caller.post({**asks(SHORT, tokens=2), "wait_for_completion": False}))
        if replies[-1].status_code not in (200, 202):
            return replies
        await asyncio.to_thread(disk.fill)
    raise AssertionError(f"{len(replies)} runs were accepted on a full disk")


def _faults(reply: httpx.Response) -> list[str]:
    if reply.status_code in (200, 202):
        return []
    error: dict[str, Any] = reply.json().get("error", {})
    if (reply.status_code, error.get("code")) == (httpx.codes.INSUFFICIENT_STORAGE, "disk_full"):
        return []
    return [f"answered {reply.status_code} {error} on a full disk"]


async def _accepted(caller: Caller, figure: Figure) -> str:
    end = time.monotonic() + PATIENCE
    while True:
        reply = await caller.post({**asks(SHORT, tokens=2), "wait_for_completion": False})
        if reply.status_code == httpx.codes.ACCEPTED:
            return str(reply.json()["run_id"])
        assert time.monotonic() < end, f"still {reply.status_code} {PATIENCE:.0f} s after there was space"
        figure.broken += _faults(reply)
        await asyncio.sleep(0.05)


async def _complete(caller: Caller, run_id: str, figure: Figure) -> None:
    run = await caller.ended(run_id, PATIENCE)
    if run["status"] != "completed":
        figure.broken.append(f"{run_id} is {run['status']}: {run.get('error')}")
    figure.broken += [f"{run_id}: {fault}" for fault in faults_in(await caller.log(run_id))]


def mounts_here() -> bool:
    """Whether a disk can be mounted in a name space of one's own on this machine."""
    if shutil.which("unshare") is None:
        return False
    with subprocess.Popen(
        [*UNSHARE, "mount", "-t", "tmpfs", "tmpfs", "/mnt"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as tried:
        return tried.wait() == 0


def enclosed(arguments: list[str]) -> list[str]:
    """Return the command line of this script in a name space of its own."""
    return [*UNSHARE, sys.executable, "-m", "tests.reliability.r05_full_disk", *arguments, "--enclosed"]


if __name__ == "__main__":
    if "--enclosed" not in sys.argv:
        line = enclosed(sys.argv[1:])
        os.execvp(line[0], line)
    sys.argv.remove("--enclosed")
    command(measure, 10, __doc__)
