"""What the stand-in Hub knows about the files of a repository: sizes, digests, the commit."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LFS_SUFFIXES = frozenset({".safetensors", ".bin", ".gguf", ".onnx", ".h5", ".msgpack", ".ot", ".pt"})
LFS_SIZE = 10_000_000  # bytes; text files larger than this are stored as LFS objects too


@dataclass(frozen=True)
class HubFile:
    """One file as the Hub describes it.

    Parameters
    ----------
    name : str
        Path inside the repository, with forward slashes.
    path : Path
        Where it lies on this disk.
    size : int
        Bytes.
    oid : str
        Its git object id (SHA-1); for an LFS file, the id of its pointer.
    sha256 : str or None
        The digest of an LFS file's content; None for a file kept in git.
    pointer_size : int
        Bytes of the LFS pointer; 0 for a file kept in git.
    """

    name: str
    path: Path
    size: int
    oid: str
    sha256: str | None = None
    pointer_size: int = 0

    @property
    def etag(self) -> str:
        """The digest that names the file in a download cache."""
        return self.sha256 or self.oid

    def listing(self) -> dict[str, Any]:
        """The file as an entry of a tree listing."""
        entry: dict[str, Any] = {"type": "file", "oid": self.oid, "size": self.size, "path": self.name}
        if self.sha256 is not None:
            entry["lfs"] = {"oid": self.sha256, "size": self.size, "pointerSize": self.pointer_size}
        return entry

    def sibling(self) -> dict[str, Any]:
        """The file as an entry of a model's description, where blobs are asked for."""
        entry: dict[str, Any] = {"rfilename": self.name, "blobId": self.oid, "size": self.size}
        if self.sha256 is not None:
            entry["lfs"] = {"sha256": self.sha256, "size": self.size, "pointerSize": self.pointer_size}
        return entry


class HubFiles:
    """The repositories under a folder, `root/org/name/*`.

    Every call looks at the disk again; digests are computed once for each version of a file. Nothing but
    names and contents goes into digests, so a copied or rebuilt repository keeps its commit.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._digests: dict[tuple[str, int, int], tuple[str, str | None, int]] = {}
        self._lock = threading.Lock()

    def repositories(self) -> list[str]:
        """Every repository id, sorted."""
        return sorted(f"{d.parent.name}/{d.name}" for d in self.root.glob("*/*") if d.is_dir())

    def exists(self, repo: str) -> bool:
        """Whether there is a repository of this name."""
        return ".." not in repo and (self.root / repo).is_dir()

    def files(self, repo: str) -> dict[str, HubFile]:
        """The files of a repository by name, sorted."""
        folder = self.root / repo
        paths = sorted(p for p in folder.rglob("*") if p.is_file())
        return {p.relative_to(folder).as_posix(): self._describe(p.relative_to(folder).as_posix(), p) for p in paths}

    def commit(self, repo: str) -> str:
        """The commit id of a repository: 40 hex digits that change when a name or a content does."""
        lines = [f"{name} {file.etag}" for name, file in self.files(repo).items()]
        return hashlib.sha1("\n".join(lines).encode()).hexdigest()

    def _describe(self, name: str, path: Path) -> HubFile:
        stat = path.stat()
        key = (str(path), stat.st_size, stat.st_mtime_ns)
        with self._lock:
            if key not in self._digests:
                self._digests[key] = _digests(path, stat.st_size)
            oid, sha256, pointer_size = self._digests[key]
        return HubFile(name, path, stat.st_size, oid, sha256, pointer_size)


def _digests(path: Path, size: int) -> tuple[str, str | None, int]:
    """Git id, SHA-256 where it is an LFS file, size of the pointer."""
    if path.suffix not in LFS_SUFFIXES and size <= LFS_SIZE:
        return _git_id(path.read_bytes()), None, 0
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    sha256 = digest.hexdigest()
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n".encode()
    return _git_id(pointer), sha256, len(pointer)


def _git_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
