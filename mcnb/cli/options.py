"""Options that several commands share."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from mcnb.compose import Document, Environment, Inputs, load_document, parse_text_value
from mcnb.errors import InvalidInputError

_Command = TypeVar("_Command", bound=Callable[..., Any])


def document_options(command: _Command) -> _Command:
    """Add ``-f``, ``--env-file`` and ``-e``; the command gets a ``document``."""

    @click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Compose file; repeat to merge several.")
    @click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="File of NAME=value lines.")
    @click.option("-e", "--env", "env", multiple=True, metavar="NAME=VALUE", help="Value for ${env.NAME}.")
    @functools.wraps(command)
    def wrapped(files: tuple[str, ...], env_files: tuple[str, ...], env: tuple[str, ...], **rest: Any) -> Any:
        overrides = dict(_pair(text, "-e") for text in env)
        environment = Environment(tuple(Path(name) for name in env_files), overrides)
        return command(document=load_document(*files, environment=environment), **rest)

    return wrapped  # type: ignore[return-value]


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInputError(f"{option} {text}: expected NAME=VALUE")
    return name, value


def read_input(document: Document, workflow: str | None, whole: str | None, pairs: tuple[str, ...]) -> dict[str, Any]:
    """Put ``--input`` and ``-i`` together; values of ``-i`` get the type of the workflow's input.

    Raises
    ------
    InvalidInputError
        When the JSON or a pair cannot be read.
    """
    values = _read_json(whole, "--input") if whole is not None else {}
    if not isinstance(values, dict):
        raise InvalidInputError("--input has to be a JSON object of names to values")
    inputs: Inputs = document.inputs(workflow)
    for text in pairs:
        name, value = _pair(text, "-i")
        values[name] = parse_text_value(inputs, name, value)
    return values


def _read_json(text: str, what: str) -> Any:
    where = what
    if text == "@-":
        text, where = sys.stdin.read(), f"{what} (standard input)"
    elif text.startswith("@"):
        where = text[1:]
        try:
            text = Path(where).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{what} {text}: cannot read the file ({error})") from error
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        at = f":{error.lineno}:{error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        said = error.msg if isinstance(error, json.JSONDecodeError) else "nested too deeply"
        raise InvalidInputError(f"{where}{at}: not valid JSON: {said}") from error


def read_json_file(path: str) -> Any:
    """Read a JSON file named on the command line; ``-`` is standard input."""
    return _read_json("@-" if path == "-" else f"@{path}", path)
