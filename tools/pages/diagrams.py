"""Diagrams: drawn by mermaid where npm brought it, text otherwise. The theme by itself would ask another host."""

from __future__ import annotations

import hashlib
import logging
import tarfile
from functools import cache
from typing import Any

from mkdocs.utils import get_relative_url
from pymdownx.superfences import fence_code_format  # type: ignore[import-untyped]

from tools.pages.places import ROOT

PACKED = ROOT / ".cache" / "mermaid-11.16.0.tgz"
"""What ``npm pack`` brought; ``make docs`` asks for it."""

PLACE = "assets/mermaid.min.js"
_SHA256 = "74d7c46dabca328c2294733910a8aa1ed0c37451776e8d5295da38a2b758fb9b"
_MARK = '<pre class="mermaid">'

_log = logging.getLogger("mkdocs.pages")


@cache
def script() -> bytes | None:
    """Return mermaid; None where it is not to be had, or is not the one that was looked at."""
    if not PACKED.is_file():
        return None
    with tarfile.open(PACKED) as packed:
        file = packed.extractfile("package/dist/mermaid.min.js")
        found = b"" if file is None else file.read()
    if hashlib.sha256(found).hexdigest() != _SHA256:
        _log.warning("%s does not hold the mermaid that is known here", PACKED)
        return None
    return found


def fences() -> dict[str, Any]:
    """Return the setting that makes diagrams of blocks marked ``mermaid``."""
    return {"custom_fences": [{"name": "mermaid", "class": "mermaid", "format": fence_code_format}]}


def with_script(html: str, url: str) -> str:
    """Return a page that loads mermaid from this site, where it has diagrams."""
    if _MARK not in html:
        return html
    return html.replace("</head>", f'<script src="{get_relative_url(PLACE, url)}"></script></head>', 1)
