"""A model in memory."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mcnb.models.control import Control
from mcnb.models.hardware import Placement
from mcnb.models.packing import packed_bytes
from mcnb.models.quantizing import Quantized
from mcnb.models.snapshot import Snapshot

_LAYER_LISTS = re.compile(r"(^|\.)(layers|h|block|blocks|layer)$")
_CONTEXT_KEYS = ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length")


@dataclass
class LoadedModel:
    """A model in memory. Only its owner's thread calls it.

    Attributes
    ----------
    snapshot : Snapshot
        Where it came from.
    placement : Placement
        Device and dtype, and why.
    model, tokenizer : Any
        transformers' objects.
    defaults : transformers.GenerationConfig
        The model's own; its ``generation_config`` is empty, because ``generate`` would put values of it where a call
        says none.
    context_length : int or None
        Tokens the model can see at once; None when its positions have no limit.
    load_seconds : float
        How long loading took.
    quantized : Quantized or None
        What became of the matrices of quantized weights.
    control : Control
        That of the generation in progress; checked before every layer.
    """

    snapshot: Snapshot
    placement: Placement
    model: Any
    tokenizer: Any
    defaults: Any
    context_length: int | None
    load_seconds: float
    quantized: Quantized | None = None
    control: Control = field(default_factory=Control)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model reads with an encoder and writes with a decoder."""
        return bool(self.model.config.is_encoder_decoder)

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end a text."""
        return _ids(self.defaults.eos_token_id) or _ids(self.tokenizer.eos_token_id)

    @property
    def pad_token(self) -> int:
        """The token that fills finished rows; any end token where the model has none."""
        for found in (self.defaults.pad_token_id, self.tokenizer.pad_token_id):
            if isinstance(found, int):
                return found
        return min(self.end_tokens, default=0)

    @property
    def memory(self) -> int:
        """Bytes of its weights and buffers."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        plain: int = sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())
        return plain + packed_bytes(self.model)


def _ids(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset(value) if isinstance(value, list | tuple) else frozenset({int(value)})


def find_context_length(model: Any, tokenizer: Any) -> int | None:
    """Return how many tokens a model can see at once; None when its positions have no limit."""
    if getattr(model.config, "relative_attention_num_buckets", None):
        return None  # T5 and its kin: relative positions, no limit of their own
    text_config = model.config.get_text_config()
    for key in _CONTEXT_KEYS:
        value = getattr(text_config, key, None)
        if isinstance(value, int) and value > 0:
            return value
    limit = getattr(tokenizer, "model_max_length", None)
    return limit if isinstance(limit, int) and limit < 10_000_000 else None


def check_before_layers(loaded: LoadedModel) -> None:
    """Let a cancel take effect before every layer: within a prompt of any length as within a decode step."""

    def check(*_: Any) -> None:
        loaded.control.check()

    for layer in layers(loaded.model):
        layer.register_forward_pre_hook(check)


def layers(model: Any) -> Iterator[Any]:
    """Yield the layers of a model, of its encoder and of its decoder."""
    for name, module in model.named_modules():
        if type(module).__name__ == "ModuleList" and _LAYER_LISTS.search(name):
            yield from module


def release(loaded: LoadedModel) -> None:
    """Let go of a model's memory, and give it back to the system."""
    import gc
    import weakref

    import torch

    traces = [weakref.ref(module) for module in loaded.model.modules()]  # packed weights are no parameters
    loaded.model = None
    loaded.tokenizer = None
    if any(trace() is not None for trace in traces):
        gc.collect()  # half a second in which nothing else runs, so only where something still points at a part
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    if sys.platform == "linux":
        import ctypes

        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc keeps freed memory otherwise
        if trim is not None:
            trim(0)
