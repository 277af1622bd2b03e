"""What the engine of a component can run, and whether it is installed: known before any model work."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterable

from mcnb.compose.schema import Component
from mcnb.errors import McnbError, NotSupportedError, UnsupportedModelError
from mcnb.models.drivers import driver_named
from mcnb.models.quantizing import KINDS
from mcnb.runtime.wording import part_name

_QUANTIZED = "int8 computes in bfloat16 alone, and double_quant is a setting of nf4 and fp4; change it or leave it out"

_CHOOSES_PRECISION = ("vllm",)
"""Engines beside transformers that the document may tell a precision."""


def unsupported(component: Component) -> McnbError | None:
    """Return what to tell about a component that this version cannot run; None where it can."""
    where, driver = part_name("component", component.id), component.driver
    if driver != "huggingface":
        asked = {
            "task: text-to-text": getattr(component, "task", "") == "text-to-text",
            "quantization": component.quantization is not None,
            f"precision: {component.precision}": component.precision != "auto" and driver not in _CHOOSES_PRECISION,
            "peft_adapters": bool(component.peft_adapters),
        }
        name = next((name for name, used in asked.items() if used), None)
        if name is None:
            return None
        return NotSupportedError(
            f"{where}: '{name}' is not supported with 'driver: {driver}'",
            hint="remove it, or use 'driver: huggingface'",
        )
    quantization = _unsupported_quantization(component)
    if quantization is not None:
        return NotSupportedError(f"{where}: '{quantization}' is not supported yet", hint=_QUANTIZED)
    return None


def _unsupported_quantization(component: Component) -> str | None:
    asked, precision = component.quantization, component.precision
    if asked is None:
        return None
    kind, computes_in = KINDS[asked.type], asked.compute_dtype
    named = f"quantization: {kind.name}"
    found = {
        f"{named} with double_quant": asked.double_quant and not kind.double_quant,
        f"{named} with compute_dtype: {computes_in}": computes_in is not None and computes_in not in kind.computes_in,
        f"{named} with precision: {precision}": precision != "auto" and precision not in kind.computes_in,
        f"{named} with compute_dtype: {computes_in} and precision: {precision}": (
            computes_in is not None and precision not in ("auto", computes_in)
        ),
    }
    return next((name for name, used in found.items() if used), None)


def check_installed(components: Iterable[Component]) -> None:
    """Make sure that what runs models is there: documents are loaded and checked without it.

    Parameters
    ----------
    components : iterable of Component
        What will be run.

    Raises
    ------
    UnsupportedModelError
    """
    components = tuple(components)
    for name in dict.fromkeys(component.driver for component in components):
        driver = driver_named(name)
        for package in driver.packages:
            if not _is_there(package):
                what = "running models needs" if name == "huggingface" else f"'driver: {name}' needs"
                raise UnsupportedModelError(
                    f"{what} {package}, which is not installed", hint=f"pip install 'mcnb[{driver.extra}]'"
                )
    for kind in dict.fromkeys(one.quantization.type for one in components if one.quantization is not None):
        needed = KINDS[kind].package
        if needed is not None and not _is_there(needed):
            raise UnsupportedModelError(
                f"'quantization: {kind}' needs {needed}, which is not installed",
                hint="pip install 'mcnb[quantization]'; 'quantization: int4' needs nothing more",
            )
    if any(component.peft_adapters for component in components) and not _is_there("peft"):
        raise UnsupportedModelError(
            "'peft_adapters' needs peft, which is not installed", hint="pip install 'mcnb[adapters]'"
        )


def _is_there(package: str) -> bool:
    try:
        return sys.modules.get(package) is not None or importlib.util.find_spec(package) is not None
    except ImportError:
        return False
