"""A real Ray cluster of one node, in processes of its own: with a token, and a server for Ray's client."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

PATIENCE = 120

RAY = (sys.executable, "-c", "from ray.scripts.scripts import main; main()")


@dataclass(frozen=True)
class Head:
    """A running cluster.

    Attributes
    ----------
    address, client : str
        Of the cluster, and of its client server.
    environment : dict of str
        What a process needs to be let in.
    """

    address: str
    client: str
    environment: dict[str, str]


@contextlib.contextmanager
def ray_head(cpus: int = 2) -> Iterator[Head]:
    """Start a cluster that nobody else's tools find, and end it."""
    port, client_port, agent_port = _free_ports(3)
    environment = {"RAY_AUTH_TOKEN": secrets.token_hex(16)}
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:  # short: there are sockets
        log = Path(folder) / "log"
        options = {
            "port": port,
            "ray-client-server-port": client_port,
            "dashboard-agent-listen-port": agent_port,
            "node-ip-address": "127.0.0.1",
            "include-dashboard": "false",
            "num-cpus": cpus,
            "object-store-memory": 100 << 20,
            "temp-dir": f"{folder}/ray",
        }
        line = [*RAY, "start", "--block", "--head", *(f"--{name}={value}" for name, value in options.items())]
        with (
            log.open("wb") as file,
            subprocess.Popen(
                line,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env={
                    **os.environ,
                    **environment,
                    "RAY_AUTH_MODE": "token",
                    "RAY_USAGE_STATS_ENABLED": "0",
                    "RAY_memory_monitor_refresh_ms": "0",  # what else this machine computes is not its business
                    "RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "100",  # the machine may be busy
                },
            ) as process,
        ):
            try:
                _wait(process, log)
                yield Head(f"127.0.0.1:{port}", f"ray://127.0.0.1:{client_port}", environment)
            finally:
                _end(process)


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    limit = time.monotonic() + PATIENCE
    while b"Ray runtime started" not in log.read_bytes():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < limit, log.read_text()
        time.sleep(0.1)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process.pid)
        every = [*parent.children(recursive=True), parent]
        process.terminate()
        for one in psutil.wait_procs(every, timeout=10)[1]:
            one.kill()


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        found = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]
