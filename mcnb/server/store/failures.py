"""What SQLite says when something fails, in mcnb's errors.

Python 3.10 gives the words of SQLite only, not its numbers; the words of ``sqlite3_errstr`` have been stable for many
years.
"""

from __future__ import annotations

import errno
import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from mcnb.errors import DiskFullError, InternalError, InvalidInputError, McnbError, ServerError

_SMALL = 1 << 20  # bytes: with less room than this an input/output error means a full disk


class CannotWriteError(ServerError):
    """The database cannot be written now, for a reason that may pass: it is locked, or its disk fails."""


def failure(error: Exception, path: Path) -> McnbError:
    """Return the error of mcnb that an error of the database stands for.

    Returns
    -------
    McnbError
        ``DiskFullError`` or ``CannotWriteError`` when the same may be possible later; any other: it never is.
    """
    if isinstance(error, McnbError):
        return error
    if isinstance(error, UnicodeEncodeError):
        return InvalidInputError("a text holds half a character (a lone surrogate), which cannot be stored")
    if isinstance(error, OverflowError):
        return InvalidInputError("a number is too large to be stored")
    cause = error.orig if isinstance(error, DBAPIError) else error
    if not isinstance(cause, sqlite3.Error):
        return _caused(InternalError(f"the run database failed: {type(cause).__name__}: {cause}"), error)
    return _caused(_of_sqlite(cause, str(cause).lower(), path), error)


def unusable(error: Exception, path: Path) -> McnbError:
    """Return the error of mcnb for a database that cannot be opened."""
    reason = failure(error, path)
    if isinstance(reason, DiskFullError):
        return reason
    return _caused(
        InvalidInputError(
            f"the run database cannot be used: {reason.message}",
            hint="it has been left as it is: restore it, move it away, or choose another place",
        ),
        error,
    )


def cannot_open(path: Path, error: OSError) -> DiskFullError | InvalidInputError:
    """Return the error of mcnb for a file that the system does not open."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"there is no room on the disk for the run database {path}", hint="free some space")
    return InvalidInputError(
        f"the run database {path} cannot be opened: {error.strerror}", hint="give it a place that can be written"
    )


def _of_sqlite(cause: sqlite3.Error, said: str, path: Path) -> McnbError:
    if "disk is full" in said or ("disk i/o error" in said and _crowded(path)):
        return DiskFullError(f"there is no room on the disk for the run database {path}", hint="free some space")
    if "disk i/o error" in said:
        return CannotWriteError(f"the disk of the run database {path} fails: {cause}")
    if "is locked" in said:
        return CannotWriteError(f"another program holds the run database {path}", hint="close that program")
    if "readonly" in said or "unable to open" in said:
        return CannotWriteError(f"the run database {path} cannot be written: {cause}", hint="check its permissions")
    if "malformed" in said or "not a database" in said:
        return ServerError(
            f"the run database {path} is damaged: {cause}", hint="stop the server, and move the file away or restore it"
        )
    return InternalError(f"the run database failed: {cause}")


def _crowded(path: Path) -> bool:
    try:
        return shutil.disk_usage(path.parent).free < _SMALL
    except OSError:
        return False


def _caused(error: McnbError, cause: BaseException) -> McnbError:
    error.__cause__ = cause
    return error
