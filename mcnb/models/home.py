"""The folders mcnb keeps things in."""

from __future__ import annotations

import contextlib
import errno
import glob
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mcnb.errors import DiskFullError, ModelError
from mcnb.models.control import Control


def home() -> Path:
    """Return mcnb's own folder: ``MCNB_HOME``, or the user's cache folder."""
    if found := os.environ.get("MCNB_HOME"):
        return Path(found).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("mcnb", appauthor=False))


def models_home() -> Path:
    """Return the folder of fetched packages and converted weights."""
    return home() / "models"


def need_space(folder: Path, size: int, what: str) -> None:
    """Refuse before writing what does not fit.

    Parameters
    ----------
    folder : Path
        Where it will be written; it need not exist yet.
    size : int
        Bytes.

    Raises
    ------
    DiskFullError
        With both figures.
    """
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if size > free:
        raise DiskFullError(
            f"{what} needs {size / 1e9:.2f} GB and {existing} has {free / 1e9:.2f} GB free",
            hint="free some space, or set MCNB_HOME or HF_HOME to a larger disk",
        )


@contextlib.contextmanager
def writing(what: str) -> Iterator[None]:
    """Within the block, say in mcnb's words what the disk refuses.

    Raises
    ------
    DiskFullError, ModelError
    """
    try:
        yield
    except OSError as error:
        place = f" {error.filename}" if error.filename else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFullError(
                f"the disk became full while writing{place} for {what}",
                hint="free some space, or set MCNB_HOME or HF_HOME to a larger disk",
            ) from error
        raise ModelError(f"{what}:{place} cannot be read or written ({error.strerror or error})") from error


@contextlib.contextmanager
def exclusive(folder: Path, control: Control) -> Iterator[None]:
    """Let one thread of one process at a time write into a folder; waiting for it ends when the control says stop."""
    import filelock

    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(folder.with_name(f".{folder.name}.lock"))
    while not lock.is_locked:
        try:
            lock.acquire(timeout=0)
        except filelock.Timeout:
            control.wait(0.1)
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `target` only when everything went well.

    Callers hold ``exclusive(target)`` or a lock above it, so what a killed process left behind is removed first.
    """
    import tempfile

    prefix = f".{target.name}~"
    remove_leftovers(target.parent, prefix)
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
    try:
        yield scratch
        if target.exists():
            shutil.rmtree(target)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def remove_leftovers(folder: Path, prefix: str) -> None:
    """Remove the scratch folders of processes that were killed; the caller holds the lock they held."""
    for left in folder.glob(f"{glob.escape(prefix)}*"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
