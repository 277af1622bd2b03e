"""Weights into memory: a Snapshot to a LoadedModel."""

from __future__ import annotations

import contextlib
import errno
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from mcnb.collecting import paused
from mcnb.errors import McnbError, ModelDamagedError, OutOfMemoryError, UnsafeModelError, UnsupportedModelError
from mcnb.models._compat import import_code, import_transformers, weights_progress
from mcnb.models.control import Control
from mcnb.models.hardware import Placement
from mcnb.models.loaded import LoadedModel, check_before_layers, find_context_length
from mcnb.models.model_files import safetensors_header
from mcnb.models.packing import pack
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.quantizing import KINDS, quantize
from mcnb.models.snapshot import CONFIG, Snapshot

_OTHER_TASKS = re.compile(r"For(?!CausalLM|ConditionalGeneration)[A-Z]\w*$")
"""Architectures that transformers would load as a language model, though they were not trained as one."""

_STORED = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


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
    return str(said) if said in _STORED.values() else "float32"


def load(
    snapshot: Snapshot,
    placement: Placement,
    *,
    control: Control,
    report: Report,
    adapt: Callable[[Any], Any] | None = None,
) -> LoadedModel:
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
    adapt : callable, optional
        Changes the model's weights before they are quantized or packed, and returns it.

    Raises
    ------
    UnsafeModelError, UnsupportedModelError, ModelDamagedError, OutOfMemoryError
    """
    started = time.perf_counter()
    with paused():
        transformers = import_transformers()
        import torch

        with in_our_words(snapshot, CONFIG):
            config = read_config(transformers, snapshot)
            family = model_class(transformers, config, snapshot)
            import_code(family, config)
    control.check()
    tell = Throttled(report)

    def progress(done: int, total: int) -> None:
        control.check()
        tell(Progress("load", snapshot.name, done, total, "weights"))

    def prepared(how: str) -> Callable[[int, int], None]:
        def report_matrices(done: int, total: int) -> None:
            control.check()
            tell(Progress("load", snapshot.name, done, total, f"matrices {how}"))

        return report_matrices

    with weights_progress(progress, control):
        progress(0, 0)
        with in_our_words(snapshot, "tokenizer"):
            tokenizer = read_tokenizer(transformers, snapshot)
        with in_our_words(snapshot, "weights"):
            model = _model(family, config, snapshot, getattr(torch, placement.computes_in))
            control.check()
            if adapt is not None:
                model = adapt(model)
            quantized = None
            if placement.dtype in KINDS:
                quantized = quantize(
                    model,
                    snapshot.name,
                    placement.dtype,
                    prepared("quantized"),
                    computes_in=placement.computes_in,
                    double_quant=placement.double_quant,
                )
                reason = "; ".join([placement.reason, *quantized.notes()])
                placement = replace(placement, reason=reason)
            kind = f"{type(model).__name__} {transformers.__version__} {placement.dtype}"
            if placement.device == "cpu" and pack(model, placement.computes_in, kind, prepared("packed")):
                _leave_files(model)
            model.to(placement.device)
    defaults, model.generation_config = model.generation_config, transformers.GenerationConfig()
    loaded = LoadedModel(
        snapshot,
        placement,
        # Its weights go on saying that they want gradients, though nothing here computes any: of those that do not,
        # torch multiplies the last position of a prompt with the whole vocabulary in a way that is far slower.
        model.eval(),
        tokenizer,
        defaults,
        find_context_length(model, tokenizer),
        load_seconds=time.perf_counter() - started,
        quantized=quantized,
    )
    check_before_layers(loaded)
    return loaded


def read_config(transformers: Any, snapshot: Snapshot) -> Any:
    """Return a model's config as transformers knows it.

    Raises
    ------
    UnsafeModelError, UnsupportedModelError
        When transformers has no code for it.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    raw = snapshot.config
    kind = raw.get("model_type")
    if kind not in CONFIG_MAPPING:
        if raw.get("auto_map"):
            raise _needs_its_code(snapshot.name)
        raise UnsupportedModelError(
            f"{snapshot.name}: transformers {transformers.__version__} does not know the architecture '{kind}'",
            hint="a newer transformers may",
        )
    return transformers.AutoConfig.from_pretrained(str(snapshot.folder), local_files_only=True, trust_remote_code=False)


def model_class(transformers: Any, config: Any, snapshot: Snapshot) -> Any:
    """Choose by what the config says the model is; the decoder of an encoder-decoder alone talks nonsense.

    Raises
    ------
    UnsupportedModelError
        When it is no language model.
    """
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING,
        MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING,
    )

    trained_as = getattr(config, "architectures", None) or []
    if trained_as and all(_OTHER_TASKS.search(name) for name in trained_as):
        pass
    elif getattr(config, "is_encoder_decoder", False):
        if type(config) in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
            return transformers.AutoModelForSeq2SeqLM
    elif type(config) in MODEL_FOR_CAUSAL_LM_MAPPING:
        return transformers.AutoModelForCausalLM
    raise UnsupportedModelError(
        f"{snapshot.name} is a {' or '.join(trained_as) or config.model_type} model, which does not generate text",
        hint="choose a causal or an encoder-decoder language model",
    )


def read_tokenizer(transformers: Any, snapshot: Snapshot) -> Any:
    """Return a model's tokenizer.

    Raises
    ------
    ModelDamagedError
        When it knows no words.
    """
    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(snapshot.folder), local_files_only=True, trust_remote_code=False
    )
    # transformers makes an empty vocabulary of files that do not belong together, without a word
    tokens = tokenizer("a 1 \N{CJK UNIFIED IDEOGRAPH-7684}")["input_ids"]
    if not tokenizer.decode(tokens, skip_special_tokens=True).strip():
        raise ModelDamagedError(f"{snapshot.name}: its tokenizer knows no words", hint="fetch the model again")
    return tokenizer


def _model(family: Any, config: Any, snapshot: Snapshot, dtype: Any) -> Any:
    model, found = family.from_pretrained(
        str(snapshot.folder),
        config=config,
        dtype=dtype,
        attn_implementation=None,  # chosen by transformers, not by the repository: its own could be downloaded code
        use_safetensors=snapshot.format == "safetensors",
        weights_only=True,
        local_files_only=True,
        trust_remote_code=False,
        output_loading_info=True,
    )
    if lacks := sorted(found["missing_keys"]):  # transformers would go on with random numbers
        raise ModelDamagedError(
            f"{snapshot.name}: its weight files lack {len(lacks)} tensors of the model, such as {lacks[0]}",
            hint="fetch the model again",
        )
    return model


def _leave_files(model: Any) -> None:
    """Copy what is left of the weights: as long as one of them is a part of a file, all of the file stays in memory."""
    for weight in model.parameters():
        weight.data = weight.data.clone()


@contextlib.contextmanager
def in_our_words(snapshot: Snapshot, part: str) -> Iterator[None]:
    """Within the block, turn what libraries raise over a part of the model into mcnb's errors."""
    import torch

    name = snapshot.name
    try:
        yield
    except McnbError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        no_memory = isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in text
        if no_memory or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            raise OutOfMemoryError(
                f"{name} does not fit into memory while loading",
                hint="'mcnb models estimate' tells what it needs; choose a smaller model or another device",
            ) from error
        if isinstance(error, ImportError):
            raise UnsupportedModelError(f"{name} needs a package that is missing ({text[:300]})") from error
        if "trust_remote_code" in text:
            raise _needs_its_code(name) from error
        raise ModelDamagedError(
            f"{name}: its {part} in {snapshot.folder} cannot be loaded ({type(error).__name__}: {text[:300]})",
            hint="fetch the model again",
        ) from error


def _needs_its_code(name: str) -> UnsafeModelError:
    return UnsafeModelError(
        f"{name} needs code of its own to run, and mcnb runs no code of model repositories",
        hint="choose a model of an architecture that transformers has itself",
    )
