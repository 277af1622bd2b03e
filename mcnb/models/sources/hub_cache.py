"""The hub's own cache folder, as its client lays it out; read here without importing that client.

::

    models--owner--name/refs/main            holds the commit
    models--owner--name/snapshots/COMMIT/*   links to the blobs
    models--owner--name/blobs/DIGEST         SHA-256 for weights, git's object id for small files
    .locks/models--owner--name/DIGEST.lock   held while a blob is written
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mcnb.models.control import Control
from mcnb.models.home import exclusive

DEFAULT_REVISION = "main"

_PARTIAL = re.compile(r"(?P<digest>[0-9a-f]{40,64})\.[0-9a-f]{8}\.incomplete")
_REVISION = re.compile(r"(?!.*\.\.)\w[\w./+-]{0,200}")


def hub_cache(folder: str | None = None) -> Path:
    """Return the cache folder: the document's, or the one the hub's client would take by the environment."""
    user = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{user}/huggingface"
    found = folder or os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE") or f"{home}/hub"
    return Path(os.path.expandvars(found)).expanduser()


@dataclass(frozen=True)
class HubFile:
    """A file as the hub lists it.

    Attributes
    ----------
    name : str
        Its path in the repository.
    size : int or None
        Bytes; None where a mirror of the hub does not say.
    sha256 : str or None
        Of large files.
    git_id : str or None
        Git's object id, of small files.
    """

    name: str
    size: int | None
    sha256: str | None
    git_id: str | None

    def is_whole(self, path: Path, control: Control) -> bool:
        """Whether a file on this machine is this one, by size and digest."""
        if self.size is None or not path.is_file():
            return path.is_file()
        if path.stat().st_size != self.size:
            return False
        digest = hashlib.sha256() if self.sha256 else hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        with path.open("rb") as file:
            while chunk := file.read(1 << 22):
                control.check()
                digest.update(chunk)
        known = self.sha256 or self.git_id
        return known is None or digest.hexdigest() == known


@dataclass(frozen=True)
class CachedRepository:
    """One repository's part of the cache.

    Attributes
    ----------
    cache : Path
        The cache folder.
    name : str
        ``owner/name``.
    """

    cache: Path
    name: str

    @property
    def _label(self) -> str:
        return f"models--{self.name.replace('/', '--')}"

    @property
    def folder(self) -> Path:
        """Everything that is kept of it."""
        return self.cache / self._label

    def snapshot(self, revision: str | None) -> Path | None:
        """Return the folder of a revision's files, if any of them are here."""
        revision = revision or DEFAULT_REVISION
        if not _REVISION.fullmatch(revision):
            return None
        reference = self.folder / "refs" / revision
        commit = reference.read_text().strip() if reference.is_file() else revision
        folder = self.folder / "snapshots" / commit
        return folder if _REVISION.fullmatch(commit) and folder.is_dir() else None

    def remember(self, revision: str | None, commit: str) -> None:
        """Note which commit a branch or tag stood for, for work without a network."""
        revision = revision or DEFAULT_REVISION
        if revision != commit:
            reference = self.folder / "refs" / revision
            reference.parent.mkdir(parents=True, exist_ok=True)
            reference.write_text(commit)

    @contextlib.contextmanager
    def exclusive(self, control: Control) -> Iterator[None]:
        """Let one of mcnb's threads and processes at a time download it."""
        with exclusive(self.cache / ".locks" / self._label / "mcnb", control):
            yield

    def remove_partial_files(self) -> None:
        """Remove what killed downloads left behind: the client gives every attempt a new name and resumes none."""
        import filelock

        for path in (self.folder / "blobs").glob("*.incomplete"):
            if found := _PARTIAL.fullmatch(path.name):
                lock = self.cache / ".locks" / self._label / f"{found['digest']}.lock"
                lock.parent.mkdir(parents=True, exist_ok=True)
                with contextlib.suppress(filelock.Timeout), filelock.FileLock(lock, timeout=0):
                    path.unlink(missing_ok=True)

    @staticmethod
    def remove(path: Path) -> None:
        """Remove a damaged file of a snapshot, and the blob it links to."""
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)

    @staticmethod
    def digests(folder: Path) -> tuple[tuple[str, str], ...]:
        """Return file name and SHA-256 of a snapshot's weights: their blobs are named so."""
        blobs = [(path.name, path.resolve().name) for path in sorted(folder.iterdir()) if path.is_symlink()]
        return tuple((name, blob) for name, blob in blobs if re.fullmatch(r"[0-9a-f]{64}", blob))
