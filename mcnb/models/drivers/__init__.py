"""Drivers: the engines that run models, by the name that ``driver:`` has in a document.

``contract`` says what an engine has to do. Each of the others is one engine, imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module

from mcnb.models.drivers.contract import Driver

__all__ = ["DRIVERS", "driver_named"]

DRIVERS = ("huggingface", "llamacpp", "openai", "vllm")
"""Those that there are."""


def driver_named(name: str) -> Driver:
    """Return an engine.

    Parameters
    ----------
    name : str
        One of ``DRIVERS``.
    """
    found: Driver = import_module(f"mcnb.models.drivers.{name}").DRIVER
    return found
