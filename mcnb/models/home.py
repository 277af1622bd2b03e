"""The folders mcnb keeps things in."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from mcnb.errors import DiskFullError


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
def exclusive(folder: Path) -> Iterator[None]:
    """Let one process at a time write into a folder."""
    import filelock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(str(folder) + ".lock"):
        yield


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give a folder to write into that becomes `target` only when everything went well."""
    import tempfile

    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield scratch
        if target.exists():
            shutil.rmtree(target)
        scratch.chmod(0o755)
        scratch.rename(target)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
