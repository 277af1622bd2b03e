"""A process that asks a server for its health 100 times a second, and writes down how long each answer took.

A line is a time (seconds since 1970) and seconds. A request is due at its time whatever became of the one before, and
its seconds count from then: an answer that is late makes the next ones late too, as for anybody who waits.
"""

from __future__ import annotations

import http.client
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .server_process import ROOT, ServerProcess

EVERY = 0.01


def ask(port: int, token: str, path: Path) -> None:
    """Ask until the process is ended."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Authorization": f"token {token}"}
    due = time.time()
    with path.open("a", buffering=1) as file:
        while True:
            connection.request("GET", "/api/health", headers=headers)
            reply = connection.getresponse()
            reply.read()
            file.write(f"{due} {time.time() - due} {reply.status}\n")
            due += EVERY
            time.sleep(max(0.0, due - time.time()))


@contextmanager
def light_requests(server: ServerProcess, path: Path) -> Iterator[None]:
    """Have them sent as long as the context lasts."""
    line = [sys.executable, "-m", "tests.reliability.light_requests", str(server.port), str(path)]
    with subprocess.Popen(line, cwd=ROOT, env={**os.environ, "LIGHT_TOKEN": server.token}) as process:
        try:
            yield
        finally:
            process.kill()


if __name__ == "__main__":
    ask(int(sys.argv[1]), os.environ["LIGHT_TOKEN"], Path(sys.argv[2]))
