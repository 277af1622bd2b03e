"""The devices of this machine, as vLLM uses them."""

from __future__ import annotations

import os

from mcnb.errors import UnsupportedModelError
from mcnb.models.hardware import choose_device
from mcnb.models.spec import ModelSpec


def device_for(spec: ModelSpec, processes: int) -> str:
    """Return the first device for so many processes.

    Raises
    ------
    UnsupportedModelError
        For a device that vLLM does not compute on, or that this machine has too few of.
    """
    found = choose_device(spec.device)
    if found == "mps":
        if spec.device != "auto":
            raise UnsupportedModelError(
                "the document asks for device 'mps', which vLLM does not compute on",
                hint="use 'device: cpu', or 'driver: huggingface'",
            )
        found = "cpu"
    there, what = (len(cores()), "CPU cores") if found == "cpu" else (gpus_from(found), f"GPUs from {found} on")
    if processes > there:
        raise UnsupportedModelError(
            f"'tensor_parallel_size' times 'pipeline_parallel_size' is {processes}, and this machine has "
            f"{there} {what}",
            hint="lower them under 'options'",
        )
    return found


def cores() -> list[int]:
    """Return the numbers of the CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gpus_from(device: str) -> int:
    """Return how many GPUs there are from one on."""
    import torch

    return int(torch.cuda.device_count()) - int(device.partition(":")[2] or 0)


def total_memory(device: str) -> int:
    """Return the bytes that a GPU has in all."""
    import torch

    return int(torch.cuda.get_device_properties(device).total_memory)
