"""The log of a service: one rotating file, for the user alone to read, without tokens.

Everything that the process and its children write to their standard streams goes there too: kernels and the web page
inherit them.
"""

from __future__ import annotations

import logging
import logging.handlers
import os
import re
import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import IO

MAX_BYTES = 2_000_000
KEPT_FILES = 3
FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
HIDDEN = "[secret]"

_IN_ADDRESS = re.compile(r"([?&][\w.-]*token=)[^&\s\"'#]+", re.IGNORECASE)
_IN_HEADER = re.compile(r"(\b(?:token|bearer)\s+)[\w.~+/=-]{16,}", re.IGNORECASE)


class Scrubber:
    """Blackens tokens in text.

    Parameters
    ----------
    secrets : iterable of str
        Those that are known; others are found by what stands in front of them.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = tuple(sorted(filter(None, secrets), key=len, reverse=True))

    def __call__(self, text: str) -> str:
        """Return the text without tokens."""
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return _IN_HEADER.sub(rf"\1{HIDDEN}", _IN_ADDRESS.sub(rf"\1{HIDDEN}", text))


class _Lines(logging.Formatter):
    """Lines of the log; a whole entry is scrubbed, the trace of an error included."""

    def __init__(self, scrub: Scrubber) -> None:
        super().__init__(FORMAT)
        self._scrub = scrub

    def format(self, record: logging.LogRecord) -> str:
        return self._scrub(super().format(record))


class ServiceLog:
    """The log file of a service.

    Parameters
    ----------
    path : Path
    secrets : iterable of str
        What must not appear in it.
    """

    def __init__(self, path: Path, secrets: Iterable[str] = ()) -> None:
        self.path = path
        self.handler = _PrivateFile(path, maxBytes=MAX_BYTES, backupCount=KEPT_FILES, encoding="utf-8")
        self.handler.setLevel(logging.INFO)
        self.handler.setFormatter(_Lines(Scrubber(secrets)))

    def logger(self, name: str) -> logging.Logger:
        """Return a logger that writes here, and nowhere else."""
        found = logging.getLogger(name)
        found.handlers = [self.handler]
        found.propagate = False
        found.setLevel(logging.INFO)
        return found

    def read(self, stream: IO[bytes], name: str) -> threading.Thread:
        """Write every line of a stream to the log, in a thread of its own, until the stream ends."""
        logger = self.logger(name)

        def copy() -> None:
            with stream:
                for line in stream:
                    if text := line.decode("utf-8", "replace").rstrip():
                        logger.info("%s", text)

        thread = threading.Thread(target=copy, name=f"mcnb-log-{name}", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """Close the file."""
        self.handler.close()


class StandardStreams:
    """Standard output and error of this process and of its children, written to the log instead.

    Parameters
    ----------
    log : ServiceLog

    Attributes
    ----------
    terminal : file
        What standard output was.
    """

    def __init__(self, log: ServiceLog) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._saved = os.dup(1), os.dup(2)
        self.terminal = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace", buffering=1)
        reading, writing = os.pipe()
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        os.close(writing)
        self._thread = log.read(os.fdopen(reading, "rb"), "mcnb.output")

    def leave(self) -> None:
        """Let go of what standard output was: whoever reads it, sees its end."""
        self.terminal.close()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for descriptor in self._saved:
            os.dup2(nowhere, descriptor, inheritable=False)
        os.close(nowhere)

    def restore(self) -> None:
        """Give the process its standard streams back."""
        sys.stdout.flush()
        sys.stderr.flush()
        for number, descriptor in enumerate(self._saved, start=1):
            os.dup2(descriptor, number)
            os.close(descriptor)
        self._thread.join(2)  # a child that outlives us may still hold the other end
        if not self.terminal.closed:
            self.terminal.close()


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A rotating file with mode 0600."""

    def _open(self) -> IO[str]:  # type: ignore[override]
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return os.fdopen(descriptor, "a", encoding="utf-8")
