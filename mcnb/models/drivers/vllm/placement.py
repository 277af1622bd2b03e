"""On which devices vLLM runs a model, in which precision, and with how much memory."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

from mcnb.errors import OutOfMemoryError, UnsupportedModelError
from mcnb.models._compat import import_transformers
from mcnb.models.drivers.vllm import devices
from mcnb.models.hardware import choose
from mcnb.models.loaded import find_context_length
from mcnb.models.loading import in_our_words, read_config, stored_dtype
from mcnb.models.memory import free_memory
from mcnb.models.sizes import cache_values
from mcnb.models.snapshot import CONFIG, Snapshot
from mcnb.models.spec import ModelSpec

LONGEST_CONTEXT = 8192
"""Tokens on a CPU, where the document does not say: vLLM has to have room for one text as long as that."""

CONTEXTS = 4
"""Texts of that length whose keys and values have room on a CPU; shorter ones are more."""

SHARE = 0.9
"""The part of a GPU's memory that vLLM takes, where the document does not say."""

PROCESSES = 1_750_000_000
"""Bytes of vLLM's processes on a CPU, without weights, keys and values (measured: 1.75 GB, 0.7 GB of it the worker)."""

_WORKER = 700_000_000
"""Bytes of each further one that computes."""

_BLOCK = 128
"""Tokens of a block of keys and values on a CPU."""

_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Placement:
    """How a model is loaded.

    Attributes
    ----------
    device : str
        ``cpu``, or the first GPU: ``cuda:0``.
    dtype, reason : str
        The precision, and why.
    tensor_parallel, pipeline_parallel : int
        Processes that share each layer, and groups of them that have some layers each.
    context_length : int or None
        Tokens of prompt and output together; None is the model's own.
    per_token : int
        Bytes of the keys and values of one token.
    share : float or None
        The part of the memory that it may use, as the document says.
    max_num_seqs : int or None
        Texts at once; None is vLLM's own choice.
    eager : bool
        Whether nothing is compiled.
    verbose : bool
        Whether what vLLM says is shown.
    """

    device: str
    dtype: str
    reason: str
    tensor_parallel: int
    pipeline_parallel: int
    context_length: int | None
    per_token: int
    share: float | None
    max_num_seqs: int | None
    eager: bool
    verbose: bool

    @property
    def processes(self) -> int:
        """Processes that compute."""
        return self.tensor_parallel * self.pipeline_parallel

    @property
    def settings(self) -> dict[str, Any]:
        """What of it may change a text, for records."""
        return {"tensor_parallel_size": self.tensor_parallel, "pipeline_parallel_size": self.pipeline_parallel}

    @property
    def environment(self) -> Mapping[str, str]:
        """What vLLM is told through its environment."""
        if self.device == "cpu":
            if self.processes == 1 or "VLLM_CPU_OMP_THREADS_BIND" in os.environ:
                return {}  # it takes all cores but one, and one for each further group of them
            cores = devices.cores()
            groups = [cores[rank :: self.processes] for rank in range(self.processes)]
            return {"VLLM_CPU_OMP_THREADS_BIND": "|".join(",".join(map(str, group)) for group in groups)}
        first = int(self.device.partition(":")[2] or 0)
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        names = visible.split(",") if visible else [str(number) for number in range(first + self.processes)]
        return {"CUDA_VISIBLE_DEVICES": ",".join(names[first : first + self.processes])}

    def arguments(self, snapshot: Snapshot, cache: int) -> dict[str, Any]:
        """Return the arguments of vLLM's engine; `cache` is what ``cache`` returns."""
        found = {
            "model": str(snapshot.folder),
            "skip_tokenizer_init": True,  # it gets tokens and gives tokens: text is made of them where it is needed
            "trust_remote_code": False,
            "load_format": "safetensors" if snapshot.format == "safetensors" else "pt",
            "generation_config": "vllm",  # every parameter is told with each text
            "dtype": self.dtype,
            "seed": 0,
            "tensor_parallel_size": self.tensor_parallel,
            "pipeline_parallel_size": self.pipeline_parallel,
            "max_model_len": self.context_length,
            "max_num_seqs": self.max_num_seqs,
            "enforce_eager": self.eager,
            "disable_log_stats": True,
            "enable_log_requests": False,
        }
        if self.device == "cpu":
            found["kv_cache_memory_bytes"] = cache
        else:
            found["gpu_memory_utilization"] = self.share or SHARE
        return {name: value for name, value in found.items() if value is not None}

    @property
    def least(self) -> int:
        """Bytes of the keys and values of one text; vLLM counts in blocks of tokens, and keeps one to itself."""
        return ((self.context_length or 0) + 2 * _BLOCK) * self.per_token

    def cache(self, name: str) -> int:
        """Return the bytes for keys and values on a CPU, where vLLM's own choice is nearly all memory of the machine.

        Raises
        ------
        OutOfMemoryError
            When there is no room for one text.
        """
        if self.device != "cpu":
            return 0
        room = int((self.share or 0.5) * free_memory("cpu"))
        if self.least > room:
            raise OutOfMemoryError(
                f"{name} needs {self.least / 1e9:.1f} GB for the keys and values of {self.context_length:,} tokens, "
                f"and {room / 1e9:.1f} GB of the free memory are for them",
                hint="lower 'max_model_len' under 'options', or raise 'gpu_memory_utilization'",
            )
        return room if self.share is not None else min(CONTEXTS * self.least, room)

    def needed(self, snapshot: Snapshot) -> int:
        """Return the bytes that have to be free: on the machine, or on each GPU."""
        weights = snapshot.size
        if "quantization_config" not in snapshot.config:
            weights = weights * _WIDTHS[self.dtype] // _WIDTHS[_facts(snapshot, snapshot.identity).dtype]
        if self.device == "cpu":
            return weights + self.least + PROCESSES + (self.processes - 1) * _WORKER
        return max(weights // self.processes, int((self.share or SHARE) * devices.total_memory(self.device)))


def place(spec: ModelSpec, snapshot: Snapshot) -> Placement:
    """Choose what the document leaves open.

    Raises
    ------
    UnsupportedModelError
        For devices that this machine does not have, an encoder-decoder model, or a longer context than it was trained
        for.
    """
    options = spec.options
    tensor, pipeline = options.tensor_parallel_size or 1, options.pipeline_parallel_size or 1
    device = devices.device_for(spec, tensor * pipeline)
    if device == "cpu" and pipeline > 1:  # vLLM 0.32 takes it, and ends with an AssertionError at the first text
        raise UnsupportedModelError(
            f"'pipeline_parallel_size' is {pipeline}, and on CPUs vLLM computes no text with it",
            hint="use 'tensor_parallel_size' under 'options'",
        )
    facts = _facts(snapshot, snapshot.identity)
    if facts.is_encoder_decoder:
        raise UnsupportedModelError(
            f"{snapshot.name} is an encoder-decoder model, and vLLM runs models that continue a text",
            hint="use 'driver: huggingface'",
        )
    trained, asked = facts.context_length, options.max_model_len
    if asked is not None and trained is not None and asked > trained:
        raise UnsupportedModelError(
            f"{snapshot.name} was trained for {trained:,} tokens, and 'max_model_len' asks for {asked:,}",
            hint="lower 'max_model_len' under 'options'",
        )
    on_cpu = device == "cpu"
    context = asked or (min(trained or LONGEST_CONTEXT, LONGEST_CONTEXT) if on_cpu else None)
    dtype, reason = _dtype(spec, facts.dtype, device)
    return Placement(
        device=device,
        dtype=dtype,
        reason=reason,
        tensor_parallel=tensor,
        pipeline_parallel=pipeline,
        context_length=context,
        per_token=facts.cached * _WIDTHS[dtype],
        share=options.gpu_memory_utilization,
        max_num_seqs=options.max_num_seqs,
        eager=on_cpu if options.enforce_eager is None else options.enforce_eager,
        verbose=options.verbose,
    )


@dataclass(frozen=True)
class _Facts:
    """What a model's files say: whether it has an encoder, its context, numbers cached of a token, its dtype."""

    is_encoder_decoder: bool
    context_length: int | None
    cached: int
    dtype: str


@lru_cache(maxsize=64)
def _facts(snapshot: Snapshot, state: Hashable) -> _Facts:
    """Look once for each state of the files: every run asks."""
    transformers = import_transformers()
    with in_our_words(snapshot, CONFIG):
        config = read_config(transformers, snapshot)
    context = find_context_length(SimpleNamespace(config=config), None)
    return _Facts(bool(config.is_encoder_decoder), context, cache_values(config), stored_dtype(snapshot))


def _dtype(spec: ModelSpec, stored: str, device: str) -> tuple[str, str]:
    if device == "cpu" and spec.precision == "auto":
        return stored, "as stored"  # what vLLM is fast in was not measured as for our own engine
    found = choose(device, spec.precision, stored)
    return found.dtype, found.reason
