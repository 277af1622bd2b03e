"""The arguments of ``%compose``: options, ``$variables`` and cell bodies."""

from __future__ import annotations

import argparse
import keyword
import shlex
from collections.abc import Mapping
from typing import Any, NoReturn, TypeVar

from mcnb.compose import Document, Environment, parse_pair, parse_text_value
from mcnb.compose.nodes import to_plain
from mcnb.compose.suggest import did_you_mean, suggestion
from mcnb.compose.yaml_reader import read_text
from mcnb.errors import DocumentError, InvalidInputError

COMMANDS = ("load", "run")

_Number = TypeVar("_Number", int, float)


class HelpShown(Exception):  # noqa: N818 - it ends the parsing, it is no error
    """``--help`` was asked for; `text` is the help."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Parser(argparse.ArgumentParser):
    """An argument parser that never exits the kernel."""

    def error(self, message: str) -> NoReturn:
        """Raise in place of printing and exiting."""
        raise InvalidInputError(f"{self.prog}: {message}", hint=f"see {self.prog} --help")

    def print_help(self, file: Any = None) -> NoReturn:
        """Hand the help to the magic."""
        raise HelpShown(self.format_help())


def make_parser() -> Parser:
    """Return the parser of ``%compose``."""
    parser = Parser(prog="%compose", description="Run local language models from one YAML file.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser, required=True)

    load = commands.add_parser(
        "load", prog="%compose load", help="load a compose file, or the cell's body", allow_abbrev=False
    )
    _document_options(load)
    load.add_argument("-o", dest="name", metavar="NAME", help="bind the loaded file to a variable")

    run = commands.add_parser(
        "run", prog="%compose run", help="run a workflow; a cell's body is its input", allow_abbrev=False
    )
    _document_options(run)
    run.add_argument("workflow", nargs="?", metavar="WORKFLOW", help="the workflow's id; the default one otherwise")
    run.add_argument(
        "-i", dest="pairs", action="append", default=[], metavar="NAME=VALUE", help="one input; =$variable takes one"
    )
    run.add_argument("--input", dest="whole", metavar="JSON", help="all inputs: JSON or $mapping")
    run.add_argument("-o", dest="name", metavar="NAME", help="bind the Run to a variable")
    run.add_argument("--seed", metavar="N", help="for the same text again; a number or $variable")
    run.add_argument("--timeout", metavar="SECONDS", help="stop and fail after this time; a number or $variable")
    return parser


def _document_options(parser: Parser) -> None:
    parser.add_argument("-f", dest="files", action="append", default=[], metavar="FILE", help="compose file")
    parser.add_argument("-e", dest="env", action="append", default=[], metavar="NAME=VALUE", help="for ${env.NAME}")


def parse(parser: Parser, line: str) -> argparse.Namespace:
    """Parse the line of a magic: as a shell splits it, without expanding anything.

    Raises
    ------
    InvalidInputError
        When a quote is not closed, or there is no such command or option.
    HelpShown
        When help was asked for.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise InvalidInputError(f"%compose: {error}", hint='quote values with spaces: -i prompt="two words"') from error
    if not words:
        raise InvalidInputError(f"%compose needs a command: {' or '.join(COMMANDS)}", hint="see %compose --help")
    if not words[0].startswith("-") and words[0] not in COMMANDS:
        raise InvalidInputError(f"%compose has no command '{words[0]}'", hint=suggestion(words[0], COMMANDS))
    arguments = parser.parse_args(words)
    if arguments.name and (not arguments.name.isidentifier() or keyword.iskeyword(arguments.name)):
        raise InvalidInputError(f"-o {arguments.name}: not a variable name")
    return arguments


def environment(pairs: list[str]) -> Environment:
    """Return the environment that ``-e NAME=VALUE`` options make."""
    return Environment(overrides=dict(parse_pair(text, "-e") for text in pairs))


def read_inputs(
    document: Document, arguments: argparse.Namespace, body: str | None, variables: Mapping[str, Any]
) -> dict[str, Any]:
    """Put the body, ``--input`` and ``-i`` together; later ones win.

    Raises
    ------
    InvalidInputError
        When one of them cannot be read, or a variable does not exist.
    """
    inputs = document.inputs(arguments.workflow)
    values = _from_body(body, inputs.names) if body is not None and body.strip() else {}
    if arguments.whole is not None:
        values.update(_mapping(_value(arguments.whole, variables), "--input"))
    for text in arguments.pairs:
        name, value = parse_pair(text, "-i")
        is_variable = value.startswith("$") and value[1:].isidentifier()
        values[name] = _value(value, variables) if is_variable else parse_text_value(inputs, name, value)
    return values


def read_number(text: str | None, option: str, kind: type[_Number], variables: Mapping[str, Any]) -> _Number | None:
    """Return the number that an option gives, directly or by ``$variable``; None without the option.

    Raises
    ------
    InvalidInputError
        When it is no such number.
    """
    value = None if text is None else _value(text, variables)
    if value is None:
        return None
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{option} {text}: expected a number, got {value!r}") from error


def _from_body(body: str, names: tuple[str, ...]) -> dict[str, Any]:
    try:
        value = to_plain(read_text(body, "<cell>"))
    except DocumentError as error:
        raise InvalidInputError(
            f"the cell's body is not a YAML or JSON mapping: {error.problems[0]}",
            hint=f"write one input a line, like '{names[0]}: ...'" if names else "this workflow takes no input",
        ) from error
    return _mapping(value, "the cell's body")


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if isinstance(value, str):
        import json

        try:
            value = json.loads(value)
        except ValueError as error:
            raise InvalidInputError(f"{what}: not valid JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} has to be a mapping of names to values, got {type(value).__name__}")
    return dict(value)


def _value(text: str, variables: Mapping[str, Any]) -> Any:
    """Return the value of ``$name``, or the text itself."""
    name = text[1:]
    if not (text.startswith("$") and name.isidentifier()):
        return text
    if name not in variables:
        known = [known for known in variables if not known.startswith("_")]
        raise InvalidInputError(f"there is no variable '{name}' in this notebook", hint=did_you_mean(name, known))
    return variables[name]
