"""Compose files on disk: where they are, and their bytes as text."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from mcnb.compose.nodes import Node
from mcnb.compose.yaml_reader import MAX_BYTES, read_text
from mcnb.errors import DocumentError, Location, Problem

FILE_NAMES = ("model-compose.yml", "model-compose.yaml")


def find_file(path: Path) -> Path:
    """Return the compose file that a path means: itself, or the one in a folder.

    Raises
    ------
    DocumentError
        When there is none.
    """
    try:
        path = path.expanduser()
        if not path.is_dir():
            return path
        for name in FILE_NAMES:
            if (path / name).is_file():
                return path / name
    except (OSError, RuntimeError, ValueError) as error:  # an unknown ~user, a NUL in the name
        _fail(f"cannot read the file: {error}", path)
    where = "in the working directory" if path == Path() else f"in {path}"
    raise DocumentError([Problem(f"there is no {' or '.join(FILE_NAMES)} {where}", hint="name a file with -f FILE")])


def read_file(path: Path) -> Node:
    """Read a compose file.

    Raises
    ------
    DocumentError
        When the file cannot be read, is not UTF-8, is not YAML, repeats a key or passes a limit.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)  # never more: the path may name a device
    except FileNotFoundError:
        _fail("there is no such file", path)
    except (OSError, ValueError) as error:
        _fail(f"cannot read the file: {getattr(error, 'strerror', None) or error}", path)
    if len(data) > MAX_BYTES:
        _fail(f"the file has more than {MAX_BYTES:,} bytes, which is the most allowed", path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        where = Location(str(path), line, column)
        raise DocumentError([Problem("the file is not UTF-8 text", where, hint="save it as UTF-8")]) from None
    return read_text(text, str(path))


def _fail(message: str, path: Path) -> NoReturn:
    raise DocumentError([Problem(message, Location(str(path), 1, 1))]) from None
