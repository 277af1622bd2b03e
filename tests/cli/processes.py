"""The command in processes of its own: in pipes, and on a terminal that keeps what it shows."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.support.runs import ROOT

COMMAND = [sys.executable, "-m", "mcnb"]
PATIENCE = 120


def environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process, in which the package is found from any working directory."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONWARNINGS": "error", **(more or {})}


def run(*arguments: str | Path, input: bytes = b"", **more: str) -> subprocess.CompletedProcess[bytes]:
    """Run the command in pipes, to its end."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], input=input, capture_output=True, env=environment(more), timeout=PATIENCE
    )


@contextlib.contextmanager
def started(*arguments: str | Path, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start the command in pipes."""
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(more),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


class Terminal:
    """The command on a terminal.

    Attributes
    ----------
    data : bytes
        Everything it has written so far.
    """

    def __init__(self, *arguments: str | Path, columns: int = 100) -> None:
        import fcntl
        import pty
        import struct
        import termios

        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, arguments)],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment({"TERM": "xterm"}),
            start_new_session=True,
        )
        os.close(slave)
        self.data = b""

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)

    def read(self) -> bool:
        """Read what there is; False at the end."""
        ready, _, _ = select.select([self._master], [], [], PATIENCE)
        assert ready, f"nothing happens; so far: {self.data!r}"
        try:
            new = os.read(self._master, 65536)
        except OSError:  # Linux tells the end this way
            return False
        self.data += new
        return bool(new)

    def read_until(self, text: str) -> None:
        while text.encode() not in self.data:
            assert self.read(), f"the command ended; it said: {self.data!r}"

    def end(self) -> int:
        """Read to the end and return the exit code."""
        while self.read():
            pass
        return self.process.wait(PATIENCE)

    def type(self, text: str) -> None:
        """Type on the keyboard."""
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        self.process.send_signal(signal.SIGINT)

    @property
    def screen(self) -> list[str]:
        """What a person sees: lines, without styles, as overwritten by what followed a carriage return."""
        import re

        text = re.sub(r"\x1b\[[0-9;]*m", "", self.data.decode())
        lines = []
        for line in text.replace("\r\n", "\n").split("\n"):
            shown: list[str] = []
            for part in line.split("\r"):
                shown[: len(part)] = part
            lines.append("".join(shown).rstrip())
        return lines


def wait_for_words(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Read a process's standard error until it says something."""
    assert process.stderr is not None
    said = b""
    limit = time.monotonic() + PATIENCE
    while words not in said:
        assert time.monotonic() < limit
        new = process.stderr.readline()
        assert new, f"the command ended; it said: {said!r}"
        said += new
    return said
