"""Options that several commands share."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mcnb.compose import Document, Environment, load_document, parse_pair, parse_text_value
from mcnb.errors import InvalidInputError

if TYPE_CHECKING:
    from mcnb.client import RemoteCompose
    from mcnb.runtime import Offering

_Command = TypeVar("_Command", bound=Callable[..., Any])


@dataclass(frozen=True)
class OpenDocument:
    """Loads the document that the options name, when it is called.

    Attributes
    ----------
    files : tuple of str
        As given; none means the one of the working directory.
    environment : Environment
        Where ``${env.NAME}`` takes its values from.
    """

    files: tuple[str, ...]
    environment: Environment

    def __call__(self) -> Document:
        """Load it, or raise DocumentError."""
        return load_document(*self.files, environment=self.environment)


def environment_options(command: _Command) -> _Command:
    """Add ``--env-file`` and ``-e``; the command gets an ``environment``."""

    @click.option("--env-file", "env_files", multiple=True, metavar="FILE", help="File of NAME=value lines.")
    @click.option("-e", "--env", "env", multiple=True, metavar="NAME=VALUE", help="Value for ${env.NAME}.")
    @functools.wraps(command)
    def wrapped(env_files: tuple[str, ...], env: tuple[str, ...], **rest: Any) -> Any:
        overrides = dict(parse_pair(text, "-e") for text in env)
        return command(environment=Environment(tuple(map(Path, env_files)), overrides), **rest)

    return wrapped  # type: ignore[return-value]


def document_options(command: _Command) -> _Command:
    """Add ``-f``, ``--env-file`` and ``-e``; the command gets ``open_document``, to call when it needs one."""

    @click.option("-f", "--file", "files", multiple=True, metavar="FILE", help="Compose file; repeat to merge several.")
    @environment_options
    @functools.wraps(command)
    def wrapped(files: tuple[str, ...], environment: Environment, **rest: Any) -> Any:
        return command(open_document=OpenDocument(files, environment), **rest)

    return wrapped  # type: ignore[return-value]


@dataclass(frozen=True)
class ServerOptions:
    """The server that the options name, if any.

    Attributes
    ----------
    url : str or None
        None: this process computes.
    token : str or None
        As given.
    """

    url: str | None
    token: str | None

    def connect(self, *, files: tuple[str, ...] = (), environment: Environment) -> RemoteCompose | None:
        """Connect to it; return None where none is named.

        Raises
        ------
        InvalidInputError
            When something is given that the server has of its own.
        ServerError
            When it cannot be reached, has no mcnb, or does not accept the token.
        """
        if self.url is None:
            if self.token is not None:
                raise InvalidInputError("--token belongs to a server", hint="name it with --url")
            return None
        if files:
            raise InvalidInputError("--url and -f exclude each other", hint="the server has its own compose files")
        if environment.files or environment.overrides:
            given = "--env-file" if environment.files else "-e"
            raise InvalidInputError(f"--url and {given} exclude each other", hint="the server has values of its own")
        from mcnb.client import connect

        return connect(self.url, self.token)


def server_options(command: _Command) -> _Command:
    """Add ``--url`` and ``--token``; the command gets a ``server``."""

    @click.option("--url", metavar="URL", help="Run on this server, like http://gpu-box:8888.")
    @click.option("--token", metavar="TOKEN", help="The server's; MCNB_TOKEN or JUPYTER_TOKEN otherwise.")
    @functools.wraps(command)
    def wrapped(url: str | None, token: str | None, **rest: Any) -> Any:
        return command(server=ServerOptions(url, token), **rest)

    return wrapped  # type: ignore[return-value]


def read_input(
    document: Document | Offering, workflow: str | None, whole: str | None, pairs: tuple[str, ...]
) -> dict[str, Any]:
    """Put ``--input`` and ``-i`` together; values of ``-i`` get the type of the workflow's input.

    Raises
    ------
    InvalidInputError
        When the JSON or a pair cannot be read.
    """
    values = read_json(whole, "--input") if whole is not None else {}
    if not isinstance(values, dict):
        raise InvalidInputError("--input has to be a JSON object of names to values")
    if not pairs:
        return values
    inputs = document.inputs(workflow)
    for text in pairs:
        name, value = parse_pair(text, "-i")
        values[name] = parse_text_value(inputs, name, value)
    return values


def read_json(text: str, what: str) -> Any:
    """Read the JSON of an option: itself, ``@file``, or ``@-`` for standard input.

    Raises
    ------
    InvalidInputError
        With the file, line and column of what is wrong.
    """
    where = what
    if text.startswith("@"):
        where = "standard input" if text == "@-" else text[1:]
        try:
            # bytes, because JSON is UTF-8 whatever the terminal's encoding is
            data = sys.stdin.buffer.read() if text == "@-" else Path(where).read_bytes()
            text = data.decode("utf-8-sig")
        except OSError as error:
            raise InvalidInputError(f"{where}: cannot read the file: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise InvalidInputError(f"{where}: not UTF-8 text") from error
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidInputError(f"{where}:{error.lineno}:{error.colno}: not valid JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{where}: not valid JSON: nested too deeply, or a number too long") from error
