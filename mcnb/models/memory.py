"""How much memory is free: of the machine, of the container, of the GPU."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")

_FILES = {
    "v2": ("memory.max", "memory.current", "inactive_file"),
    "v1": ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
}
"""The limit, what is used, and the line of ``memory.stat`` with what the system gives back when asked."""

_M_ARENA_MAX = -8
_HEAPS = 2

_M_MMAP_THRESHOLD = -3
_OF_ITS_OWN = 1 << 16
_MOST = 32 << 20
"""Bytes from which a piece has pages of its own: while loading, and otherwise (the most that glibc itself comes to)."""


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
    """Return what a container may still take; None where there is no limit."""
    found = []
    for version, folder in _groups():
        with contextlib.suppress(OSError, ValueError):
            found.append(_left(folder, *_FILES[version]))
    return min(found, default=None)


def _left(folder: Path, limit: str, used: str, returned: str) -> int:
    most = int((folder / limit).read_text())  # not a number where there is no limit; an enormous one in version 1
    cache = 0
    for line in (folder / "memory.stat").read_text().splitlines():
        if line.startswith(f"{returned} "):
            cache = int(line.split()[1])
    return most - int((folder / used).read_text()) + cache


def _groups() -> Iterator[tuple[str, Path]]:
    """Yield the folders of the groups this process is in, from its own to the outermost: each may have a limit."""
    yield "v2", _CGROUP
    yield "v1", _CGROUP / "memory"
    with contextlib.suppress(OSError):
        for line in _OWN_GROUPS.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers and "memory" not in controllers.split(","):
                continue
            version, root = ("v1", _CGROUP / "memory") if controllers else ("v2", _CGROUP)
            folder = root / path.strip("/")
            while folder != root:
                yield version, folder
                folder = folder.parent


@contextlib.contextmanager
def returnable_memory() -> Iterator[None]:
    """Within the block, what is allocated goes back to the system when it is freed, as far as glibc can be told.

    Each load and each model has a thread, and glibc gives each thread a heap of its own, where weights and smaller
    things leave holes. So threads that begin from now on share a few heaps; and within the block pieces of some size
    get pages of their own. That is for loading alone: a forward pass would pay for new pages again and again.
    """
    mallopt = None
    if sys.platform == "linux":
        import ctypes

        mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        yield
        return
    mallopt(_M_ARENA_MAX, _HEAPS)
    mallopt(_M_MMAP_THRESHOLD, _OF_ITS_OWN)
    try:
        yield
    finally:
        mallopt(_M_MMAP_THRESHOLD, _MOST)
