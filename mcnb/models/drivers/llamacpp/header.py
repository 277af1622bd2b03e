"""What a GGUF file says about its model; nothing but the header is read."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from mcnb.errors import ModelDamagedError, UnsupportedModelError
from mcnb.models.drivers.llamacpp.library import library, loading, said

_CACHED_AS = 2
"""Bytes of a number in the key/value cache."""


@dataclass(frozen=True)
class Header:
    """What a file says.

    Attributes
    ----------
    architecture, quantization : str
        ``llama``, ``Q4_1``.
    context_length : int
        Tokens the model was trained to see at once.
    bytes_per_token : int
        Of keys and values.
    vocabulary : int
        Tokens it knows.
    """

    architecture: str
    quantization: str
    context_length: int
    bytes_per_token: int
    vocabulary: int


@lru_cache(maxsize=64)
def read_header(path: Path, name: str, state: tuple[Any, ...]) -> Header:
    """Read a file's header; once for each state of the file.

    Raises
    ------
    ModelDamagedError
        When it cannot be read.
    UnsupportedModelError
        When llama.cpp cannot run the model, or it does not continue texts.
    """
    module = library()
    parameters = module.llama_model_default_params()
    parameters.vocab_only = True
    with loading(verbose=False):
        model = module.llama_model_load_from_file(str(path).encode(), parameters)
        if not model:
            raise _unreadable(path, name)
    try:
        values = _Values(module, model)
        if module.llama_model_has_encoder(model):
            raise UnsupportedModelError(
                f"{name} is an encoder-decoder model, which 'driver: llamacpp' does not run",
                hint="use 'driver: huggingface'",
            )
        vocabulary = module.llama_vocab_n_tokens(module.llama_model_get_vocab(model))
        return Header(
            architecture=values.text("general.architecture") or "unknown",
            quantization=_quantization(module, values.number("general.file_type")),
            context_length=values.own("context_length") or 512,
            bytes_per_token=values.bytes_per_token(),
            vocabulary=vocabulary,
        )
    finally:
        module.llama_model_free(model)


class _Values:
    def __init__(self, module: Any, model: Any) -> None:
        self._module = module
        self._model = model

    def text(self, key: str) -> str | None:
        buffer = ctypes.create_string_buffer(256)
        length = self._module.llama_model_meta_val_str(self._model, key.encode(), buffer, len(buffer))
        return buffer.value.decode("utf-8", "replace") if length >= 0 else None

    def number(self, key: str) -> int | None:
        value = self.text(key)
        return int(value) if value is not None and value.isdigit() else None

    def own(self, key: str) -> int | None:
        return self.number(f"{self.text('general.architecture')}.{key}")

    def bytes_per_token(self) -> int:
        """Keys and values of all layers; 0 where the model has no attention."""
        layers, heads = self.own("block_count") or 0, self.own("attention.head_count") or 0
        shared = self.own("attention.head_count_kv") or heads
        width = (self.own("embedding_length") or 0) // heads if heads else 0
        keys, values = self.own("attention.key_length") or width, self.own("attention.value_length") or width
        return layers * shared * (keys + values) * _CACHED_AS


def _quantization(module: Any, kind: int | None) -> str:
    names = {
        value: name.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_")
        for name, value in vars(module).items()
        if name.startswith("LLAMA_FTYPE_") and isinstance(value, int)
    }
    return "mixed" if kind is None else names.get(kind, f"type {kind}")


def _unreadable(path: Path, name: str) -> Exception:
    why = said()
    if "unknown model architecture" in why:
        return UnsupportedModelError(
            f"{name}: this llama.cpp does not know its architecture ({why})", hint="a newer llama-cpp-python may"
        )
    return ModelDamagedError(f"{name}: {path} cannot be read ({why or 'without a reason'})", hint="fetch it again")
