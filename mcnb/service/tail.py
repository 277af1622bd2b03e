"""The end of a log file, and what is added to it."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from mcnb.errors import InvalidInputError


def last_lines(path: Path, number: int) -> list[str]:
    """Return the last lines of a file.

    Raises
    ------
    InvalidInputError
        When there is none.
    """
    try:
        with path.open(encoding="utf-8", errors="replace") as stream:
            return [line.rstrip("\n") for line in deque(stream, maxlen=number)]
    except OSError as error:
        raise InvalidInputError(f"there is no log {path}", hint="'mcnb ps' lists the services") from error


def follow_lines(path: Path, pause: Callable[[], object] = lambda: time.sleep(0.2)) -> Iterator[str]:
    """Return the lines that are added to a file from now on, also when it is replaced by a new one."""
    stream = path.open(encoding="utf-8", errors="replace")
    try:
        stream.seek(0, os.SEEK_END)
        begun = ""
        while True:
            is_old = _is_replaced(path, stream)  # asked first: what is read after that is all there will be
            part = stream.readline()
            begun += part
            if begun.endswith("\n"):
                yield begun.rstrip("\n")
                begun = ""
            elif is_old and not part:
                stream.close()
                stream = path.open(encoding="utf-8", errors="replace")
            elif not part:
                pause()
    finally:
        stream.close()


def _is_replaced(path: Path, stream: IO[str]) -> bool:
    try:
        return path.stat().st_ino != os.fstat(stream.fileno()).st_ino
    except OSError:
        return False  # between two files
