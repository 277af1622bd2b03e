"""What was measured of this machine, kept in mcnb's folder: two processes must not find two different answers."""

from __future__ import annotations

import contextlib
import json
import os
import platform
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path

from mcnb.models.control import Control
from mcnb.models.home import exclusive, home


def measured_once(kind: str, what: str, count: int, measure: Callable[[], Sequence[float]]) -> Sequence[float]:
    """Return what was measured before on this CPU with this release of torch; measure it the first time.

    Parameters
    ----------
    kind : str
        The name of the file, in mcnb's folder.
    what : str
        What was measured.
    count : int
        How many numbers it is.
    measure : callable
        Returns them.
    """
    path = home() / f"{kind}.json"
    key = f"{machine()}; {what}" if what else machine()
    if known := _read(path, count).get(key):
        return known
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # where nothing can be written, nothing can be agreed on either
            stack.enter_context(exclusive(path, Control()))
        if known := _read(path, count).get(key):  # by another process, meanwhile
            return known
        found = measure()
        with contextlib.suppress(OSError):
            scratch = path.with_suffix(f".{os.getpid()}")
            scratch.write_text(json.dumps({**_read(path, count), key: list(found)}, indent=1))
            scratch.replace(path)
    return found


def machine() -> str:
    """Return what measurements depend on: the CPU, torch's threads and release."""
    import torch

    return f"{_cpu_name()}; {torch.get_num_threads()} threads; torch {torch.__version__}"


def _read(path: Path, count: int) -> dict[str, tuple[float, ...]]:
    """Return what a file says; a damaged one counts for nothing."""
    try:
        found = json.loads(path.read_text())
        known = {str(key): tuple(float(number) for number in numbers) for key, numbers in found.items()}
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return {}
    return {key: numbers for key, numbers in known.items() if len(numbers) == count}


@lru_cache(maxsize=1)
def _cpu_name() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
