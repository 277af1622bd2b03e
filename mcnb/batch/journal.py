"""Journal: what is done so far, in a file beside the output that survives whatever happens to the process.

JSON lines, only ever added to. The first one says which job it is; each other one is what came of a row, or a note. A
line is written when the row is done, which is enough should the process die, and pressed to disk (fsync) once a batch,
for the day the machine does. The last line may be torn: it is cut off, and its row is computed again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from mcnb.errors import DiskFullError, InvalidInputError

FORMAT = 1

SECONDS = 1.0
"""Between two times that lines are pressed to disk, at most; and ..."""

LINES = 32
"""... so many lines."""


def journal_path(output: Path) -> Path:
    """Return where the journal of an output is."""
    return output.with_name(f"{output.name}.journal")


class Journal:
    """An open journal; one process has it.

    Parameters
    ----------
    path : Path
        The file.
    lines : int
        That are pressed to disk together.

    Attributes
    ----------
    header : dict
        Which job it is; empty while it is a new one.
    done : bytearray
        A bit for each row that is done.
    failed : int
        How many of them failed.
    finished : int
        How many rows are done.
    sessions : int
        How often the job was begun or went on before.

    Raises
    ------
    InvalidInputError
        When another process has it, or it is none.
    """

    def __init__(self, path: Path, *, lines: int = LINES, retry_failed: bool = False) -> None:
        self.path = path
        self.header: dict[str, Any] = {}
        self.done = bytearray()
        self.failed = self.finished = self.sessions = 0
        self._lines = lines
        self._since = 0
        self._pressed = time.monotonic()
        try:
            self._file: IO[bytes] = path.open("ab+")
        except OSError as error:
            raise InvalidInputError(f"{path}: cannot be written: {error.strerror}") from error
        try:
            _lock(self._file, path)
            self._read(retry_failed=retry_failed)
        except BaseException:
            self._file.close()
            raise

    # --- what is there ------------------------------------------------------------------------------------------------

    def _read(self, *, retry_failed: bool) -> None:
        failed: set[int] = set()
        for offset, line in self._raw():
            if not line.endswith(b"\n"):
                self._file.truncate(offset)  # torn
                break
            found = _parsed(line)
            if offset == 0:
                if found is None or found.get("mcnb_batch") != FORMAT:
                    hint = "give the output another name, or remove that file"
                    raise InvalidInputError(f"{self.path}: not a journal of this version", hint=hint)
                self.header = found
            elif found is not None and "session" in found:
                self.sessions += 1
            elif found is not None and "row" in found:
                self._note(found["row"])
                (failed.add if found["state"] != "completed" else failed.discard)(found["row"])
        for row in failed if retry_failed else ():
            self.done[row >> 3] &= ~(1 << (row & 7))
            self.finished -= 1
        self.failed = 0 if retry_failed else len(failed)

    def _raw(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            offset = 0
            for line in file:
                yield offset, line
                offset += len(line)

    def results(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the results and where each stands, in the order in which they came."""
        for offset, line in self._raw():
            found = _parsed(line)
            if found is not None and "row" in found:
                yield offset, found

    def reader(self) -> IO[bytes]:
        """Open the file to read lines by their places."""
        return self.path.open("rb")

    def is_done(self, row: int) -> bool:
        """Whether a row is done."""
        place = row >> 3
        return place < len(self.done) and bool(self.done[place] >> (row & 7) & 1)

    def _note(self, row: int) -> None:
        place = row >> 3
        if place >= len(self.done):
            self.done.extend(bytes(place + 1 - len(self.done) + (1 << 12)))
        if not self.done[place] >> (row & 7) & 1:
            self.done[place] |= 1 << (row & 7)
            self.finished += 1

    # --- what is added ------------------------------------------------------------------------------------------------

    def begin(self, header: Mapping[str, Any]) -> None:
        """Write which job it is."""
        self.header = {"mcnb_batch": FORMAT, **header}
        self._write([self.header])
        self.press()
        with contextlib.suppress(OSError, AttributeError):  # so that the file's name survives, too
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)

    def add(self, results: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Write results, and return those that are new: a row is done once, however often it was computed.

        Raises
        ------
        DiskFullError
            When they cannot be written; those of before stay.
        """
        fresh = []
        for result in results:
            if not self.is_done(result["row"]):
                self._note(result["row"])
                self.failed += result["state"] != "completed"
                fresh.append(result)
        self._write(fresh)
        self._since += len(fresh)
        if self._since >= self._lines or (self._since and time.monotonic() - self._pressed > SECONDS):
            self.press()
        return fresh

    def note(self, **told: Any) -> None:
        """Write something worth knowing that is no row."""
        self._write([{"note": time.time(), **told}])

    def _write(self, lines: list[dict[str, Any]]) -> None:
        if not lines:
            return
        end = os.fstat(self._file.fileno()).st_size
        data = b"".join(json.dumps(line, ensure_ascii=False).encode() + b"\n" for line in lines)
        try:
            self._file.write(data)
            self._file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                self._file.truncate(end)
            raise DiskFullError(
                f"{self.path}: cannot be written ({error.strerror})", hint="make room, and go on with --resume"
            ) from error

    def press(self) -> None:
        """Have everything on disk, not only in the system's memory."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._since, self._pressed = 0, time.monotonic()

    def close(self) -> None:
        """Close the file; what it holds stays."""
        if not self._file.closed:
            with contextlib.suppress(OSError):
                self.press()
            with contextlib.suppress(OSError):
                self._file.close()

    def remove(self) -> None:
        """Remove the file: the output is whole."""
        try:
            self.path.unlink(missing_ok=True)
        except PermissionError:  # Windows removes no file that is open
            self.close()
            self.path.unlink(missing_ok=True)
        self.close()


def _parsed(line: bytes) -> dict[str, Any] | None:
    """Return what a line says; None for one that a crash of the machine has spoilt."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _lock(file: IO[bytes], path: Path) -> None:
    """Let no other process have the journal; the lock ends with this one, however that ends."""
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InvalidInputError(
            f"{path}: another process is at this job", hint="wait for it, or stop it first"
        ) from None
