"""``mcnb up`` in a process of its own."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.cli.processes import environment

PATIENCE = 90.0
COMMAND = [sys.executable, "-m", "mcnb"]


def until(condition: Callable[[], object]) -> None:
    """Wait until something holds."""
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


class Up:
    """A running ``mcnb up``.

    Attributes
    ----------
    process : Popen
    said : str
        Everything it printed.
    port : int
        Of the API.
    token : str
    form : str or None
        The address of the web page.
    """

    def __init__(self, file: Path, *options: str, **more: str) -> None:
        arguments = ["-f", str(file), "--port", "0", "--web-port", "0", *options]
        self.process = subprocess.Popen(
            [*COMMAND, "up", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # warnings of Jupyter's own packages are not ours to fail on
            env=environment({"PYTHONWARNINGS": "default", **more}),
        )
        assert self.process.stdout is not None
        self.said = ""
        while not self.said.endswith(("stops\n", "stops it\n")):
            line = self.process.stdout.readline().decode()
            assert line, f"it ended: {self.said} {self.process.communicate()[1].decode()}"
            self.said += line
        found = re.search(r"curl -X POST http://localhost:(\d+)", self.said)
        assert found is not None
        self.port = int(found[1])
        token = re.search(r"Authorization: token (\S+?)'", self.said)
        self.token = token[1] if token else ""
        form = re.search(r"^form: (http\S+)$", self.said, re.MULTILINE)
        self.form = form[1] if form else None

    def ask(self, method: str, path: str, body: Any = None, *, token: str | None = None, **headers: str) -> Any:
        """Send a request; return status and body."""
        return ask(self.port, method, path, body, token=self.token if token is None else token, **headers)

    def run(self, prompt: str, **more: Any) -> Any:
        """Run the default workflow."""
        return self.ask("POST", "/api/workflows/runs", {"input": {"prompt": prompt}, **more})

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal and wait; return the exit code and what was still said."""
        self.process.send_signal(number)
        out, error = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, (out + error).decode()


def ask(port: int, method: str, path: str, body: Any = None, *, token: str = "", **headers: str) -> Any:
    """Send a request; return status and body, JSON where it is."""
    sent = {"Authorization": f"token {token}"} if token else {}
    if isinstance(body, dict):
        body = json.dumps(body)
        sent["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.request(method, path, body, {**sent, **{k.replace("_", "-"): v for k, v in headers.items()}})
        reply = connection.getresponse()
        text = reply.read().decode()
        is_json = (reply.getheader("Content-Type") or "").startswith("application/json")
        return reply.status, json.loads(text) if is_json else text
    finally:
        connection.close()


@contextlib.contextmanager
def running(file: Path, *options: str, **more: str) -> Iterator[Up]:
    """Run ``mcnb up`` on free ports until the block ends."""
    up = Up(file, *options, **more)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.process.terminate()
            try:
                up.process.communicate(timeout=PATIENCE)
            except subprocess.TimeoutExpired:
                up.process.kill()
                up.process.communicate()
        for stream in (up.process.stdout, up.process.stderr):
            if stream is not None:
                stream.close()
