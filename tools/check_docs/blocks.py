"""The code blocks of a Markdown file, and how each is run."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

RUNNABLE = {
    "bash": "shell",
    "console": "session",
    "python": "cell",
    "ipython": "cell",
    "pycon": "doctest",
}
"""Languages of blocks that are run, and how."""

DATA = frozenset({"yaml", "json", "text", "mermaid", "toml", "ini", "html", "http"})
"""Languages of blocks that are looked at and not run."""

_BLOCK = re.compile(
    r"(?:^<!--\s*(?P<marker>(?:not run|run|file):.*?)\s*-->\n\s*)?"
    r"^(?P<indent> *)(?P<ticks>`{3,})(?P<language>[^\n`]*)\n(?P<text>.*?)^(?P=indent)(?P=ticks)[ ]*$",
    re.DOTALL | re.MULTILINE,
)


class Way(BaseModel):
    """What a marker says about how a block is run.

    Attributes
    ----------
    until : str or None
        The block starts a service: go on when it has written this, and stop it after the file's last block.
    exit : int
        The exit code that is expected.
    replace : dict
        Texts of the block that stand for others here.
    without : dict
        Beginnings of lines that are not run, with the reason of each.
    terminal : str or None
        Run it on a terminal, on which this is typed.
    small : dict or None
        Run the compose files that the block names on the demo model, with these parameters: theirs is large or on a
        hub.
    """

    model_config = ConfigDict(extra="forbid")

    until: str | None = None
    exit: int = 0
    replace: dict[str, str] = {}
    without: dict[str, str] = {}
    terminal: str | None = None
    small: dict[str, Any] | None = None


@dataclass(frozen=True)
class Block:
    """One code block.

    Attributes
    ----------
    line : int
        Of its first line in the file.
    language, text : str
        As written; without the indent.
    reason : str or None
        Why it is not run.
    file : str or None
        The name of the file that it is the content of.
    way : Way
        How it is run.
    problem : str or None
        What is wrong with it or its marker.
    """

    line: int
    language: str
    text: str
    reason: str | None = None
    file: str | None = None
    way: Way = field(default_factory=Way)
    problem: str | None = None

    @property
    def kind(self) -> str | None:
        """How it is run: ``shell, session, cell, doctest``; None when it is not."""
        return None if self.reason or self.file else RUNNABLE.get(self.language)


def blocks(markdown: str) -> Iterator[Block]:
    """Yield the code blocks of a file."""
    for found in _BLOCK.finditer(markdown):
        line = markdown.count("\n", 0, found.start("ticks")) + 1
        language = found["language"].strip().split(" ")[0]
        indent = found["indent"]
        text = "".join(row.removeprefix(indent) for row in found["text"].splitlines(keepends=True))
        yield _marked(line, language, text, found["marker"])


def _marked(line: int, language: str, text: str, marker: str | None) -> Block:
    word, _, said = (marker or "").partition(":")
    said = said.strip()
    if word == "not run":
        return Block(line, language, text, reason=said, problem=None if len(said) > 10 else "says no reason")
    if word == "file":
        return Block(line, language, text, file=said, problem=None if said else "names no file")
    if language not in RUNNABLE and language not in DATA:
        wrong = f"is in {language}, which is unknown here" if language else "has no language"
        return Block(line, language, text, problem=wrong)
    if word != "run":
        return Block(line, language, text)
    if language not in RUNNABLE:
        return Block(line, language, text, problem=f"says how to run {language}, which is not run")
    try:
        return Block(line, language, text, way=Way.model_validate(yaml.safe_load(said)))
    except (yaml.YAMLError, ValidationError) as error:
        return Block(line, language, text, problem=f"its marker cannot be read: {' '.join(str(error).split())}")
