"""The end of a log file, and what is added to it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path

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
    stream.seek(0, 2)
    begun = ""
    while True:
        part = stream.readline()
        if part:
            begun += part
            if begun.endswith("\n"):
                yield begun.rstrip("\n")
                begun = ""
            continue
        try:
            replaced = path.stat().st_ino != _inode(stream)
        except OSError:
            replaced = False  # between two files
        if replaced and not stream.readline():
            stream.close()
            stream = path.open(encoding="utf-8", errors="replace")
            continue
        pause()


def _inode(stream: object) -> int:
    import os

    return os.fstat(stream.fileno()).st_ino  # type: ignore[attr-defined]
