"""What must not be told of a compose file that cannot be loaded, and of an error that names its values."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from mcnb.compose import Environment
from mcnb.compose.environment import collect
from mcnb.compose.yaml_reader import MAX_BYTES
from mcnb.errors import DocumentError
from mcnb.runtime.redaction import SHORTEST_SECRET

_ENVIRONMENT_NAME = re.compile(r"\benv\s*\.\s*(\w+)")
_TOKEN = re.compile(r"""\btoken["']?\s*:\s*["']?([^\s"',}]+)""")


def secrets_in(path: Path, environment: Environment | None = None) -> tuple[str, ...]:
    """Return the texts to blacken in what is said of a file, the longest first.

    A Document knows its own secrets; a file that cannot be loaded has none, so its text is searched for them.
    """
    try:
        with path.open("rb") as stream:
            text = stream.read(MAX_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError):
        return ()
    return _in_text(text, path.parent, environment)


def secrets_of_source(source: Any, folder: Path, environment: Environment | None = None) -> tuple[str, ...]:
    """Return the same of a document's content."""
    return _in_text(json.dumps(source, ensure_ascii=False), folder, environment)


def _in_text(text: str, folder: Path, environment: Environment | None) -> tuple[str, ...]:
    names = set(_ENVIRONMENT_NAME.findall(text))
    return _longest_first({*_values(names, folder, environment), *_TOKEN.findall(text)})


def _values(names: set[str], folder: Path, environment: Environment | None) -> set[str]:
    given = environment if environment is not None else Environment()
    try:
        values = collect(given.files, given.overrides, beside=folder)
    except DocumentError:  # an env file that cannot be read; the process's own values are known all the same
        values = collect((), given.overrides)
    return {values[name] for name in names if name in values}


def _longest_first(found: set[str]) -> tuple[str, ...]:
    return tuple(sorted((text for text in found if len(text) >= SHORTEST_SECRET), key=len, reverse=True))
