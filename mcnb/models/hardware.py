"""Which device and which dtype: chosen by what the machine was measured to do well, and reported."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mcnb.errors import UnsupportedModelError
from mcnb.models.measurements import measured_once
from mcnb.models.packing import gains, matrix
from mcnb.models.quantizing import COMPUTES_IN, KINDS

DECODE_LOSS = 1.25
"""On a CPU, bfloat16 is taken when one decode step takes at most this many times a float32 step..."""

PROMPT_GAIN = 1.0
"""... and prompt processing at most this many times float32's."""


@dataclass(frozen=True)
class Placement:
    """Where and in which precision a model runs.

    Attributes
    ----------
    device : str
        ``cpu``, ``cuda:0``, ``mps``.
    dtype : str
        Of the weights: ``float32``, ``float16``, ``bfloat16``, or how they are quantized, as in ``KINDS``.
    reason : str
        Why this dtype, in a few words.
    compute_dtype : str or None
        Of what is multiplied with quantized weights; None for the usual one.
    double_quant : bool
        Whether the scales of quantized weights are quantized, too.
    """

    device: str
    dtype: str
    reason: str
    compute_dtype: str | None = None
    double_quant: bool = False

    @property
    def computes_in(self) -> str:
        """The dtype of what is multiplied with the weights."""
        return (self.compute_dtype or COMPUTES_IN) if self.dtype in KINDS else self.dtype


def choose(
    device: str, precision: str, stored_dtype: str, compute_dtype: str | None = None, *, double_quant: bool = False
) -> Placement:
    """Choose device and dtype for a model.

    Parameters
    ----------
    device, precision : str
        As in the document; ``auto`` leaves the choice here. The precision is ``int8`` where the document says
        ``quantization: int8``, and so with other kinds.
    stored_dtype : str
        The dtype of the weights on disk.
    compute_dtype, double_quant
        Of quantized weights; see ``Placement``.

    Raises
    ------
    UnsupportedModelError
        When the document names a device this machine does not have, or one without the precision.
    """
    found = choose_device(device)
    if precision in KINDS:
        if found != "cpu":
            raise UnsupportedModelError(
                f"'quantization: {precision}' is not supported on {found} yet, only on the CPU",
                hint="say 'device: cpu', leave 'quantization' out, or take a GGUF file with 'driver: llamacpp'",
            )
        computes_in = compute_dtype or COMPUTES_IN
        reason = f"asked for by the document; computes in {computes_in}"
        return Placement(found, precision, reason, computes_in, double_quant)
    if precision != "auto":
        return Placement(found, precision, "asked for by the document")
    kind = found.partition(":")[0]
    if kind == "cpu":
        return Placement(found, *_cpu_dtype(stored_dtype))
    if stored_dtype == "bfloat16" and not _supports_bfloat16(kind):
        return Placement(found, "float16", f"{kind} has no bfloat16")
    return Placement(found, stored_dtype, "as stored")


def choose_device(device: str) -> str:
    """Return the device to use; ``auto`` prefers CUDA, then Apple's GPU, then the CPU."""
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if device == "auto":
        return "cuda:0" if cuda else "mps" if mps else "cpu"
    kind, _, number = device.partition(":")
    if (kind == "cuda" and not (cuda and int(number or 0) < torch.cuda.device_count())) or (kind == "mps" and not mps):
        raise UnsupportedModelError(
            f"the document asks for device '{device}', which this machine does not have",
            hint="use 'device: auto', or install a torch build for it",
        )
    return "cuda:0" if device == "cuda" else device


def _supports_bfloat16(kind: str) -> bool:
    import torch

    return kind != "cuda" or torch.cuda.is_bf16_supported()


def _cpu_dtype(stored: str) -> tuple[str, str]:
    if stored == "float32":
        return "float32", "as stored"
    if stored == "float16":
        return "float32", "float16 is slow on a CPU"
    step, prompt = bfloat16_cost()
    figures = f"bfloat16 takes {step:.2f} x float32 a token and {prompt:.2f} x a prompt on this CPU"
    return ("bfloat16" if step <= DECODE_LOSS and prompt <= PROMPT_GAIN else "float32"), figures


@lru_cache(maxsize=1)
def bfloat16_cost() -> tuple[float, float]:
    """Return how long bfloat16 takes on this CPU, relative to float32.

    Measured once for each CPU and torch release and then kept in mcnb's folder: the choice must not differ between
    two processes, because the text would.

    Returns
    -------
    (float, float)
        For one row times a matrix (a decode step) and for many rows (a prompt).
    """
    step, prompt = measured_once("hardware", "packed", 2, _measured_cost)
    return step, prompt


def _measured_cost() -> tuple[float, float]:
    import torch

    with torch.inference_mode():
        found = _ratio(torch, rows=1, repeats=10), _ratio(torch, rows=32, repeats=3)
        for _ in range(2):  # other work on the machine can spoil a measurement, and this one is kept
            if found[0] <= DECODE_LOSS and found[1] <= PROMPT_GAIN:
                break
            again = _ratio(torch, rows=1, repeats=10), _ratio(torch, rows=32, repeats=3)
            found = min(found[0], again[0]), min(found[1], again[1])
    return found


def _ratio(torch: Any, rows: int, repeats: int) -> float:
    """Time bfloat16 against float32, in turns, on more weights than the caches hold: decoding reads them all."""
    shape, count = (4096, 1024), 5
    weights, inputs, best = {}, {}, {}
    for dtype, packed in ((torch.float32, gains("float32")), (torch.bfloat16, gains("bfloat16"))):
        weights[dtype] = [matrix(torch.ones(shape, dtype=dtype), packed=packed) for _ in range(count)]
        inputs[dtype] = torch.ones(rows, shape[1], dtype=dtype)
        best[dtype] = float("inf")
    for _ in range(repeats):
        for dtype, matrices in weights.items():
            start = time.perf_counter()
            for one in matrices:
                one(inputs[dtype])
            best[dtype] = min(best[dtype], time.perf_counter() - start)
    return float(best[torch.bfloat16] / best[torch.float32])
