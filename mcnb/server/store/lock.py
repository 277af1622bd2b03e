"""One server for one database: a lock of the operating system, which ends with its process however that ends.

Two servers on one file would both take up its queued runs. SQLite's own locks are held for moments only, and its
exclusive mode would shut out the store's own readers.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from mcnb.errors import InvalidInputError

_FAR = 1 << 30  # Windows locks bytes against reading too: one far behind the process's number


class FileLock:
    """The lock on a database, beside it as ``<file>.lock``; the number of the process that holds it stands in there.

    The file stays when the lock is given back: whoever waits may have it open.

    Raises
    ------
    InvalidInputError
        Another server holds it, or the file system has no locks.
    """

    def __init__(self, database: Path) -> None:
        path = database.with_name(f"{database.name}.lock")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._file)
        except BlockingIOError:
            holder = os.pread(self._file, 20, 0) if sys.platform != "win32" else os.read(self._file, 20)
            os.close(self._file)
            named = f" (process {int(holder)})" if holder.strip().isdigit() else ""
            raise InvalidInputError(
                f"another server{named} uses the run database {database}",
                hint="stop that server, or give this one another database",
            ) from None
        except OSError as error:
            os.close(self._file)
            raise InvalidInputError(
                f"the run database {database} cannot be locked: {error.strerror}",
                hint="put it on a local disk",
            ) from None
        with contextlib.suppress(OSError):  # a full disk: the lock holds without the number
            os.ftruncate(self._file, 0)
            os.write(self._file, f"{os.getpid()}\n".encode())

    def release(self) -> None:
        """Give the lock back."""
        if self._file < 0:
            return
        os.close(self._file)
        self._file = -1


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int) -> None:
        os.lseek(file, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(error.errno, error.strerror) from None
        finally:
            os.lseek(file, 0, os.SEEK_SET)

else:
    import fcntl

    def _lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
