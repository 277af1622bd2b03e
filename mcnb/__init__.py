"""mcnb: local language models in notebooks, from one YAML file.

>>> import mcnb
>>> compose = mcnb.load("model-compose.yml")            # doctest: +SKIP
>>> compose.run(prompt="Once upon a time").output       # doctest: +SKIP

Importing it costs next to nothing: everything below is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcnb.client import connect
    from mcnb.compose import Document, load_document
    from mcnb.notebook import load_ipython_extension
    from mcnb.runtime import Compose, Event, Record, Run, Runtime, load

__version__ = "0.1.0.dev0"

_HOMES = {
    "Document": "mcnb.compose",
    "load_document": "mcnb.compose",
    "Compose": "mcnb.runtime",
    "Event": "mcnb.runtime",
    "Record": "mcnb.runtime",
    "Run": "mcnb.runtime",
    "Runtime": "mcnb.runtime",
    "load": "mcnb.runtime",
    "load_ipython_extension": "mcnb.notebook",
    "connect": "mcnb.client",
}

__all__ = [
    "Compose",
    "Document",
    "Event",
    "Record",
    "Run",
    "Runtime",
    "connect",
    "load",
    "load_document",
    "load_ipython_extension",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'mcnb' has no attribute '{name}'")
    from mcnb.collecting import paused

    with paused():
        return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
