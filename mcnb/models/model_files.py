"""Reading a model's files: JSON, indexes, the beginnings of weights. What is wrong is named by its path."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, TypeAlias

from mcnb.errors import ModelDamagedError

Format: TypeAlias = Literal["safetensors", "pickle"]

SAFETENSORS = "model.safetensors"
SAFETENSORS_INDEX = "model.safetensors.index.json"
PICKLE = "pytorch_model.bin"
PICKLE_INDEX = "pytorch_model.bin.index.json"

DTYPES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
"""Bytes an element."""

MAX_HEADER = 100_000_000


def read_json(path: Path, name: str) -> dict[str, Any]:
    """Read a JSON object of a model's folder, or say which file is wrong."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelDamagedError(f"{name}: {path.name} is missing in {path.parent}") from error
    except (OSError, ValueError, RecursionError) as error:
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
            whole = size == 8 + length + end and all(_fills(tensor) for tensor in tensors.values())
        except (ValueError, AttributeError, KeyError, TypeError, IndexError, RecursionError) as error:
            raise ModelDamagedError(f"{name}: {path} has a broken header", hint=_again(path)) from error
    if not whole:
        raise ModelDamagedError(
            f"{name}: {path} has {size:,} bytes, its header speaks of {8 + length + end:,}", hint=_again(path)
        )
    return tensors


def _fills(tensor: dict[str, Any]) -> bool:
    begin, end = tensor["data_offsets"]
    width = DTYPES.get(tensor["dtype"])
    return width is None or end - begin == math.prod(tensor["shape"]) * width


def check_pickle(path: Path, name: str) -> None:
    """Check that a ``.bin`` is a zip archive (torch >= 1.6), whose directory stands at its end, or begins a pickle.

    Raises
    ------
    ModelDamagedError
    """
    import zipfile

    with path.open("rb") as file:
        begin = file.read(2)
    if not begin:
        raise ModelDamagedError(f"{name}: {path} is empty", hint=_again(path))
    if begin == b"PK" and not zipfile.is_zipfile(path):
        raise ModelDamagedError(f"{name}: {path} is cut", hint=_again(path))
    if begin != b"PK" and begin[:1] != b"\x80":
        raise ModelDamagedError(f"{name}: {path} holds no weights", hint=_again(path))
