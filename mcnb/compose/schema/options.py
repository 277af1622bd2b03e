"""``options``: what a component says to its engine alone."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mcnb.compose.schema.base import Part
from mcnb.compose.schema.scalars import IS_INTEGER, Duration, Form

_URL = r"https?://([A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[^\s?#]*)?"
_URL_HINT = "write it like http://127.0.0.1:8000/v1; a key goes into 'api_key'"
_KEY_HINT = "copy it again, without spaces; better: ${env.NAME}"

OPTIONS_OF = {
    "huggingface": (),
    "llamacpp": ("n_ctx", "n_batch", "n_threads", "n_gpu_layers", "verbose"),
    "openai": ("base_url", "api_key", "model", "timeout", "extensions"),
    "vllm": (
        "tensor_parallel_size",
        "pipeline_parallel_size",
        "max_model_len",
        "gpu_memory_utilization",
        "max_num_seqs",
        "enforce_eager",
        "verbose",
    ),
}
"""Which engine knows which of them."""


class EngineOptions(Part):
    """Settings of one engine; each knows some of them, see ``OPTIONS_OF``."""

    n_ctx: Annotated[int | None, Field(ge=8, le=10_000_000), IS_INTEGER] = Field(
        default=None, description="llamacpp: tokens of prompt and output together; also written 'context_length'."
    )
    n_batch: Annotated[int | None, Field(ge=1, le=65_536), IS_INTEGER] = Field(
        default=None, description="llamacpp: tokens of a prompt that are computed at once."
    )
    n_threads: Annotated[int | None, Field(ge=1, le=1024), IS_INTEGER] = Field(
        default=None, description="llamacpp: threads that compute; by default one for each core."
    )
    n_gpu_layers: Annotated[int | None, Field(ge=-1, le=10_000), IS_INTEGER] = Field(
        default=None, description="llamacpp: layers on the GPU; -1 means all."
    )
    verbose: bool = Field(default=False, description="llamacpp, vllm: show what the engine itself says.")
    base_url: Annotated[str, Field(max_length=2048), Form(_URL, "the address of a server", _URL_HINT)] | None = Field(
        default=None, description="openai: where the server is, usually with /v1 at the end."
    )
    api_key: Annotated[str, Field(max_length=4096), Form(r"[!-~]+", "a key", _KEY_HINT, hidden=True)] | None = Field(
        default=None, description="openai: sent as a bearer token; better: ${env.NAME}.", repr=False
    )
    model: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None, description="openai: what the server calls the model, where that is not the repository's name."
    )
    timeout: Duration | None = Field(
        default=None, description="openai: how long the server may say nothing; 300 seconds by default."
    )
    extensions: bool = Field(
        default=True,
        description="openai: send parameters that servers of open models know and OpenAI's own API refuses (top_k...).",
    )
    tensor_parallel_size: Annotated[int | None, Field(ge=1), IS_INTEGER] = Field(
        default=None, description="vllm: GPUs (on a CPU, groups of cores) that share each layer."
    )
    pipeline_parallel_size: Annotated[int | None, Field(ge=1), IS_INTEGER] = Field(
        default=None, description="vllm: GPUs that have some layers each."
    )
    max_model_len: Annotated[int | None, Field(ge=1), IS_INTEGER] = Field(
        default=None, description="vllm: tokens of prompt and output together."
    )
    gpu_memory_utilization: Annotated[float | None, Field(gt=0, le=1)] = Field(
        default=None,
        description="vllm: the part of each GPU's memory that it may use, 0.9 by default; on a CPU, of the free memory "
        "for keys and values.",
    )
    max_num_seqs: Annotated[int | None, Field(ge=1, le=65_536), IS_INTEGER] = Field(
        default=None, description="vllm: texts that are computed at once; more of them wait."
    )
    enforce_eager: bool | None = Field(
        default=None, description="vllm: compile nothing: starts sooner and computes slower. By default on a CPU."
    )
