"""Weights into memory: a Snapshot to a LoadedModel."""

from __future__ import annotations

import copy
import errno
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from mcnb.errors import McnbError, ModelDamagedError, ModelError, OutOfMemoryError, UnsafeModelError, UnsupportedModelError
from mcnb.models._compat import import_transformers, weights_progress
from mcnb.models.control import Control
from mcnb.models.hardware import Placement
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.snapshot import Snapshot, safetensors_header

_LAYER_LISTS = re.compile(r"(^|\.)(layers|h|block|blocks|layer)$")
_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
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
    context_length : int or None
        Tokens the model can see at once; None when its positions have no limit.
    load_seconds : float
        How long loading took.
    control : Control
        That of the generation in progress; checked before every layer.
    """

    snapshot: Snapshot
    placement: Placement
    model: Any
    tokenizer: Any
    context_length: int | None
    load_seconds: float
    control: Control = field(default_factory=Control)

    @property
    def is_encoder_decoder(self) -> bool:
        """Whether the model reads with an encoder and writes with a decoder."""
        return bool(self.model.config.is_encoder_decoder)

    @property
    def end_tokens(self) -> frozenset[int]:
        """The tokens that end a text."""
        return _ids(self.model.generation_config.eos_token_id) or _ids(self.tokenizer.eos_token_id)

    @property
    def pad_token(self) -> int:
        """The token that fills finished rows; any end token where the model has none."""
        for found in (self.model.generation_config.pad_token_id, self.tokenizer.pad_token_id):
            if isinstance(found, int):
                return found
        return min(self.end_tokens, default=0)

    @property
    def memory(self) -> int:
        """Bytes of its weights and buffers."""
        tensors = [*self.model.parameters(), *self.model.buffers()]
        return sum({t.data_ptr(): t.numel() * t.element_size() for t in tensors}.values())


def _ids(value: Any) -> frozenset[int]:
    if value is None:
        return frozenset()
    return frozenset(value) if isinstance(value, list | tuple) else frozenset({int(value)})


def stored_dtype(snapshot: Snapshot) -> str:
    """Return the dtype most of the weights have on disk."""
    said = snapshot.config.get("dtype") or snapshot.config.get("torch_dtype")
    form, files = snapshot.weights
    if form == "safetensors":
        sizes: dict[str, int] = {}
        for tensor in safetensors_header(files[0], snapshot.name).values():
            begin, end = tensor["data_offsets"]
            sizes[tensor["dtype"]] = sizes.get(tensor["dtype"], 0) + end - begin
        if sizes:
            return _STORED.get(max(sizes, key=lambda name: sizes[name]), "float32")
    return said if said in _STORED.values() else "float32"


def load(snapshot: Snapshot, placement: Placement, *, control: Control, report: Report) -> LoadedModel:
    """Load a checked snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        Checked by ``check_snapshot``.
    placement : Placement
        Device and dtype.
    control : Control
        Ends the loading between two weights.
    report : callable
        Gets the number of weights loaded.

    Raises
    ------
    UnsafeModelError, UnsupportedModelError, ModelDamagedError, OutOfMemoryError
    """
    transformers = import_transformers()
    import torch

    started = time.perf_counter()
    control.check()
    tell = Throttled(report)

    def progress(done: int, total: int) -> None:
        control.check()
        tell(Progress("load", snapshot.name, done, total, "weights"))

    try:
        config = _config(transformers, snapshot)
        with weights_progress(progress):
            progress(0, 0)
            tokenizer = transformers.AutoTokenizer.from_pretrained(
                str(snapshot.folder), local_files_only=True, trust_remote_code=False
            )
            model = _model_class(transformers, config, snapshot).from_pretrained(
                str(snapshot.folder),
                config=config,
                dtype=getattr(torch, placement.dtype),
                use_safetensors=snapshot.format == "safetensors",
                weights_only=True,
                local_files_only=True,
                trust_remote_code=False,
            )
        control.check()
        model.to(placement.device)
        model.eval().requires_grad_(False)
    except McnbError:
        raise
    except Exception as error:
        raise _explained(error, snapshot) from error
    loaded = LoadedModel(
        snapshot,
        placement,
        model,
        tokenizer,
        _context_length(model, tokenizer),
        load_seconds=time.perf_counter() - started,
    )
    _check_before_layers(loaded)
    return loaded


def _config(transformers: Any, snapshot: Snapshot) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    raw = snapshot.config
    kind = raw.get("model_type")
    if kind not in CONFIG_MAPPING:
        if raw.get("auto_map"):
            raise UnsafeModelError(
                f"{snapshot.name} needs code of its own to run, and mcnb runs no code of model repositories",
                hint="choose a model of an architecture that transformers has itself",
            )
        raise UnsupportedModelError(
            f"{snapshot.name}: transformers {transformers.__version__} does not know the architecture '{kind}'",
            hint="a newer transformers may",
        )
    return transformers.AutoConfig.from_pretrained(
        str(snapshot.folder), local_files_only=True, trust_remote_code=False
    )


def _model_class(transformers: Any, config: Any, snapshot: Snapshot) -> Any:
    """Choose by what the config says the model is; the decoder of an encoder-decoder alone talks nonsense."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    )

    if getattr(config, "is_encoder_decoder", False):
        if type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            return transformers.AutoModelForSeq2SeqLM
    elif type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    raise UnsupportedModelError(
        f"{snapshot.name} is a {config.model_type} model, which does not generate text",
        hint="choose a causal or an encoder-decoder language model",
    )


def _context_length(model: Any, tokenizer: Any) -> int | None:
    if getattr(model.config, "relative_attention_num_buckets", None):
        return None  # T5 and its kin: relative positions, no limit of their own
    text_config = model.config.get_text_config()
    for key in _CONTEXT_KEYS:
        value = getattr(text_config, key, None)
        if isinstance(value, int) and value > 0:
            return value
    limit = getattr(tokenizer, "model_max_length", None)
    return limit if isinstance(limit, int) and limit < 10_000_000 else None


def _check_before_layers(loaded: LoadedModel) -> None:
    """Let a cancel take effect before every layer: within a prompt of any length as within a decode step."""

    def check(*_: Any) -> None:
        loaded.control.check()

    for layer in _layers(loaded.model):
        layer.register_forward_pre_hook(check)


def _layers(model: Any) -> Iterator[Any]:
    for name, module in model.named_modules():
        if type(module).__name__ == "ModuleList" and _LAYER_LISTS.search(name):
            yield from module


def _explained(error: Exception, snapshot: Snapshot) -> McnbError:
    import torch

    text = " ".join(str(error).split())
    if isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in text:
        return OutOfMemoryError(
            f"{snapshot.name} does not fit into memory while loading",
            hint="'mcnb models estimate' tells what it needs; choose a smaller model or another device",
        )
    if isinstance(error, OSError) and error.errno == errno.ENOMEM:
        return OutOfMemoryError(f"{snapshot.name} does not fit into memory while loading")
    if isinstance(error, ImportError):
        return UnsupportedModelError(f"{snapshot.name} needs a package that is missing ({text[:300]})")
    if "tokenizer" in text.lower():
        return ModelDamagedError(
            f"{snapshot.name}: its tokenizer cannot be loaded ({text[:300]})", hint="fetch the model again"
        )
    return ModelError(
        f"{snapshot.name} cannot be loaded ({type(error).__name__}: {text[:300]})", hint="fetch the model again"
    )


def generation_defaults(loaded: LoadedModel) -> Any:
    """Return a copy of the model's own generation config."""
    return copy.deepcopy(loaded.model.generation_config)


def release(loaded: LoadedModel) -> None:
    """Let go of a model's memory."""
    import gc

    import torch

    loaded.model = None
    loaded.tokenizer = None
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    threading.Thread(target=_trim, name="mcnb-trim", daemon=True).start()


def _trim() -> None:
    """Give freed memory back to the system where the C library keeps it (glibc)."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
