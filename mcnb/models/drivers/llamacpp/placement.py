"""On which device a file's model runs, with how many threads and how long a context."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

from mcnb.errors import UnsupportedModelError
from mcnb.models.drivers.llamacpp.header import Header
from mcnb.models.drivers.llamacpp.library import library
from mcnb.models.spec import ModelSpec

LONGEST_CONTEXT = 8192
"""Tokens, where the document does not say: a longer context takes memory whether it is used or not."""

BATCH = 512
"""Tokens of a prompt that are computed at once, where the document does not say."""


@dataclass(frozen=True)
class Placement:
    """How a model is loaded.

    Attributes
    ----------
    device : str
        ``cpu``, ``cuda:0``, ``mps``.
    n_ctx, n_batch, n_threads, n_gpu_layers : int
        In llama.cpp's words; -1 layers are all.
    verbose : bool
        Whether what llama.cpp says is shown.
    """

    device: str
    n_ctx: int
    n_batch: int
    n_threads: int
    n_gpu_layers: int
    verbose: bool

    @property
    def main_gpu(self) -> int:
        """The number of the GPU."""
        return int(self.device.partition(":")[2] or 0)


def place(spec: ModelSpec, header: Header, name: str) -> Placement:
    """Choose what the document leaves open.

    Raises
    ------
    UnsupportedModelError
        For a device that this build of llama.cpp does not have, or a longer context than the model was trained for.
    """
    options = spec.options
    if options.n_ctx is not None and options.n_ctx > header.context_length:
        raise UnsupportedModelError(
            f"{name} was trained for {header.context_length:,} tokens, and 'n_ctx' asks for {options.n_ctx:,}",
            hint="lower 'n_ctx' under 'options'",
        )
    n_ctx = options.n_ctx or min(header.context_length, LONGEST_CONTEXT)
    device = _device(spec.device)
    return Placement(
        device=device,
        n_ctx=n_ctx,
        n_batch=min(options.n_batch or BATCH, n_ctx),
        n_threads=options.n_threads or _cores(),
        n_gpu_layers=0 if device == "cpu" else -1 if options.n_gpu_layers is None else options.n_gpu_layers,
        verbose=options.verbose,
    )


def _device(asked: str) -> str:
    has_gpu = bool(library().llama_supports_gpu_offload())
    if asked == "cpu" or (asked == "auto" and not has_gpu):
        return "cpu"
    if not has_gpu:
        raise UnsupportedModelError(
            f"the document asks for device '{asked}', and this build of llama.cpp computes on the CPU alone",
            hint="use 'device: auto', or install llama-cpp-python built for it",
        )
    if asked == "auto":
        return "mps" if sys.platform == "darwin" else "cuda:0"
    return "cuda:0" if asked == "cuda" else asked


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
