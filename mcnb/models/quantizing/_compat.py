"""How bitsandbytes is imported, and which release multiplies."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

from mcnb.errors import UnsupportedModelError

_importing = threading.Lock()


def import_bitsandbytes() -> Any:
    """Import bitsandbytes for use: with its own code alone.

    On CPUs with AVX512_BF16 it asks the package ``kernels`` for another build of one function when it is imported: code
    that is fetched from the hub, and run. Without that package it uses its own, and writes a warning.

    Raises
    ------
    mcnb.errors.UnsupportedModelError
        When it is not installed, or does not fit this machine.
    """
    with _importing, _without("kernels"), _silent("bitsandbytes"):
        try:
            import bitsandbytes
        except ImportError as error:
            raise UnsupportedModelError(
                f"quantized weights need {error.name or 'bitsandbytes'}, which is not installed",
                hint="pip install 'mcnb[quantization]'",
            ) from error
    return bitsandbytes


def library(package: str | None) -> str:
    """Return a package with its release; torch where it is None."""
    from importlib.metadata import version

    name = package or "torch"
    return f"{name} {version(name)}"


@contextlib.contextmanager
def _without(package: str) -> Iterator[None]:
    """Within the block, a package cannot be imported."""
    absent = object()
    before: Any = sys.modules.get(package, absent)
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        if before is absent:
            del sys.modules[package]
        else:
            sys.modules[package] = before


@contextlib.contextmanager
def _silent(logger: str) -> Iterator[None]:
    """Within the block, a logger says nothing below errors."""
    found = logging.getLogger(logger)
    before = found.level
    found.setLevel(logging.ERROR)
    try:
        yield
    finally:
        found.setLevel(before)
