"""How much memory is free: of the machine, of the container, of the GPU."""

from __future__ import annotations

import contextlib
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def free_memory(device: str = "cpu") -> int:
    """Return the bytes that can still be used on a device."""
    kind, _, number = device.partition(":")
    if kind == "cuda":
        import torch

        return int(torch.cuda.mem_get_info(int(number or 0))[0])
    import psutil

    free = int(psutil.virtual_memory().available)
    limit = _cgroup_left()
    return free if limit is None else min(free, limit)


def _cgroup_left() -> int | None:
    """Return what a container may still take; None outside of one."""
    with contextlib.suppress(OSError, ValueError):
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit == "max":
            return None
        used = int((_CGROUP / "memory.current").read_text())
        cache = 0
        for line in (_CGROUP / "memory.stat").read_text().splitlines():
            if line.startswith("inactive_file "):
                cache = int(line.split()[1])  # the system gives this back when asked
        return int(limit) - used + cache
    return None
