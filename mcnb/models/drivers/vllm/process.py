"""The process with vLLM's engine, as the process that uses it sees it."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import IO, Any, cast

HOST = "mcnb.models.drivers.vllm.host"

FOLDER = "mcnb-vllm-"
"""How the name of the folder begins in which vLLM has its sockets and whatever else it puts aside."""

READY = "mcnb: the engine is ready"
"""The line that follows all that vLLM says while it starts: what it says comes another way than answers."""

LONGEST_PATH = 50
"""Characters of the folder for temporary files: the paths of its sockets, 57 more, may not be longer than 107."""

END = 15.0
"""Seconds that the engine has to end in by itself."""

_ENVIRONMENT = {
    "DO_NOT_TRACK": "1",
    "VLLM_NO_USAGE_STATS": "1",  # it would tell its makers about the model and the machine
    "HF_HUB_OFFLINE": "1",  # all files are here: what is not is not fetched behind anybody's back
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_LOGGING_COLOR": "0",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
}

_KEPT = 400
"""Lines of what vLLM says that are kept for an error's message."""

_BREAKS = re.compile(rb"[\r\n]+")

_log = logging.getLogger(__name__)

Answer = dict[str, Any]


def _place() -> str:
    """Return where temporary files go, if the paths of sockets in it are not too long."""
    found = tempfile.gettempdir()
    return found if len(found) <= LONGEST_PATH else "/tmp"  # noqa: S108 - a folder of our own is made in it


class EngineProcess:
    """Starts the process, and talks with it.

    Parameters
    ----------
    engine : mapping
        Arguments of vLLM's engine.
    env : mapping
        Set besides our own environment.
    answers : SimpleQueue
        Gets what the process answers; at its end ``{"ended": status}``.
    on_line : callable
        Gets each line of what vLLM says, in a thread of its own.
    """

    def __init__(
        self,
        engine: Mapping[str, Any],
        env: Mapping[str, str],
        answers: SimpleQueue[Any],
        on_line: Callable[[str], object],
    ) -> None:
        self._answers = answers
        self._on_line = on_line
        self._lines: deque[str] = deque(maxlen=_KEPT)
        self._writing = threading.Lock()
        self._reaping = threading.Lock()
        self._folder = tempfile.mkdtemp(prefix=FOLDER, dir=_place())  # its sockets: nobody else's to talk to
        level = {} if "VLLM_LOGGING_LEVEL" in os.environ else {"VLLM_LOGGING_LEVEL": "INFO"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", HOST],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env={**os.environ, **_ENVIRONMENT, **level, "TMPDIR": self._folder, **env},
                start_new_session=True,  # one group with all that it starts; an interrupt at the terminal is for us
            )
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._orders = cast(IO[bytes], self._process.stdin)
        self._threads = [
            threading.Thread(target=target, name=f"mcnb-vllm-{name}", daemon=True)
            for name, target in (("answers", self._read_answers), ("log", self._read_lines))
        ]
        for thread in self._threads:
            thread.start()
        self.send({"engine": dict(engine)})

    @property
    def pid(self) -> int:
        """Of the process; its group has the same number."""
        return self._process.pid

    @property
    def ended(self) -> bool:
        """Whether it is there no more."""
        return self._process.returncode is not None

    @property
    def lines(self) -> list[str]:
        """The last lines of what vLLM has said."""
        return list(self._lines)

    def send(self, order: Mapping[str, Any]) -> None:
        """Give it an order, from any thread; where it has ended, nothing happens."""
        line = json.dumps(order).encode() + b"\n"
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._orders.write(line)
            self._orders.flush()

    def kill(self) -> None:
        """End it at once, with all that it has started."""
        with self._reaping:
            self._kill()

    def stop(self) -> None:
        """End it, and wait until its memory is free."""
        self.send({"stop": True})
        with self._writing, contextlib.suppress(OSError, ValueError):
            self._orders.close()
        answers, log = self._threads
        answers.join(END)
        self.kill()
        answers.join()
        log.join(END)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _kill(self) -> None:
        if self._process.returncode is None:  # else its number may be another's
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)

    def _read_answers(self) -> None:
        with cast(IO[bytes], self._process.stdout) as answers:
            for line in answers:
                with contextlib.suppress(ValueError):  # the last one may be cut
                    self._answers.put(json.loads(line))
        if hasattr(os, "waitid"):
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            self._kill()  # what it has started may outlive it; until it is waited for, its number is its own
            status = self._process.wait()
        self._answers.put({"ended": status})

    def _read_lines(self) -> None:
        left = b""
        with cast(IO[bytes], self._process.stderr) as said:
            while chunk := said.read1(1 << 16):  # type: ignore[attr-defined]
                *whole, left = _BREAKS.split(left + chunk)  # progress bars end their lines with \r
                for line in whole:
                    self._take(line.decode("utf-8", "replace").rstrip())

    def _take(self, line: str) -> None:
        if not line:
            return
        self._lines.append(line)
        _log.debug("%s", line)
        self._on_line(line)
