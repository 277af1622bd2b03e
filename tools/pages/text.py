"""Tables and escaping."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; pipes and line ends within cells are taken care of."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(item) for item in line) + " |" for line in lines) + "\n"


def code(text: object) -> str:
    """Return a text as inline code."""
    shown = str(text)
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"


def markdown(text: str) -> str:
    """Return a docstring's text as Markdown: its double backticks become single ones."""
    return re.sub(r"``([^`]+)``", r"`\1`", text)


def summary(documented: object) -> str:
    """Return the first paragraph of a docstring, on one line."""
    found = (getattr(documented, "__doc__", None) or "").strip().partition("\n\n")[0]
    return markdown(" ".join(found.split()))


def fence(language: str, text: str) -> str:
    """Return a code block, whatever backticks are in it."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    ticks = "`" * (longest + 1)
    return f"{ticks}{language}\n{text.rstrip()}\n{ticks}\n"


def _cell(text: str) -> str:
    return text.replace("\n", " ").replace("|", "\\|")
