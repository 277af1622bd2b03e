"""The words behind ``%compose``: commands and their options, split as a shell splits them and never expanded."""

from __future__ import annotations

import argparse
import keyword
import shlex
from collections.abc import Iterable
from functools import cache
from typing import Any, NoReturn

from mcnb.errors import InvalidInputError

COMMANDS = {
    "load": "load a compose file, or the cell's body",
    "run": "run a workflow; the cell's body is its input",
    "form": "show a form for a workflow",
    "validate": "check a compose file, or the cell's body",
    "schema": "show the JSON Schema of a workflow's input",
    "graph": "draw a workflow",
    "ps": "list the runs that are not done",
    "history": "list the runs that are done",
    "cancel": "stop a run",
    "models": "list the models in memory and on disk",
    "unload": "take models out of memory",
    "connect": "let a server compute; load comes back",
}

CELL_COMMANDS = ("load", "run", "validate")
"""Those that take a cell's body."""


class HelpShown(Exception):  # noqa: N818 - it ends the parsing, it is no error
    """``--help`` was asked for; `text` is the help."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Parser(argparse.ArgumentParser):
    """An argument parser that never exits the kernel."""

    def error(self, message: str) -> NoReturn:
        """Raise in place of printing and exiting."""
        hint = f"see {self.prog} --help"
        raise InvalidInputError(f"{self.prog}: {message[0].lower()}{message[1:]}", hint=hint)

    def print_help(self, file: Any = None) -> NoReturn:
        """Hand the help to the magic."""
        raise HelpShown(self.format_help())


@cache
def make_parsers() -> dict[str, Parser]:
    """Return the parser of each command, and under ``""`` the one that knows them all; made once."""
    made = {name: _make(name) for name in COMMANDS}
    width = max(map(len, COMMANDS)) + 2
    listed = "\n".join(f"  {name:{width}}{text}" for name, text in COMMANDS.items())
    made[""] = Parser(
        prog="%compose",
        usage="%(prog)s COMMAND [OPTION]...",
        description="Run local language models from one YAML file.",
        epilog=f"commands:\n{listed}\n\n%compose COMMAND --help tells the options of one.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return made


def parse(parsers: dict[str, Parser], line: str) -> argparse.Namespace:
    """Parse the line of a magic.

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
        said = "a quote is not closed" if "quotation" in str(error) else str(error)
        raise InvalidInputError(f"%compose: {said}", hint='quote values with spaces: -i prompt="two words"') from error
    if not words:
        raise InvalidInputError(f"%compose needs a command: {', '.join(COMMANDS)}", hint="see %compose --help")
    command, *rest = words
    if command not in COMMANDS:
        if command in ("-h", "--help"):
            parsers[""].print_help()
        if command.startswith("-"):
            raise InvalidInputError("%compose: the command comes before its options", hint="see %compose --help")
        raise InvalidInputError(f"%compose has no command '{command}'", hint=_suggestion(command, COMMANDS))
    parser = parsers[command]
    arguments, unknown = parser.parse_known_args(rest)
    if unknown:
        _refuse(parser, unknown[0])
    arguments.command = command
    name = getattr(arguments, "name", None)
    if name and (not name.isidentifier() or keyword.iskeyword(name)):
        raise InvalidInputError(f"-o {name}: not a variable name")
    return arguments


def options_of(parser: Parser) -> list[argparse.Action]:
    """Return the options of a command, for completing and suggesting them."""
    return [action for action in parser._actions if action.option_strings]


def _refuse(parser: Parser, word: str) -> NoReturn:
    if not word.startswith("-"):
        raise InvalidInputError(f"{parser.prog}: '{word}' is too much", hint='quote values with spaces: "two words"')
    known = [name for action in options_of(parser) for name in action.option_strings]
    said = word.partition("=")[0]
    longer = next((name for name in known if len(said) > 2 and name.startswith(said)), None)
    hint = f"did you mean '{longer}'?" if longer else _suggestion(said, known)
    raise InvalidInputError(f"{parser.prog} has no option {said}", hint=hint)


def _suggestion(word: str, known: Iterable[str]) -> str | None:
    from mcnb.compose.suggest import suggestion  # brings the whole document layer

    return suggestion(word, known)


def _make(command: str) -> Parser:
    parser = Parser(
        prog=f"%compose {command}",
        description=f"{COMMANDS[command][0].upper()}{COMMANDS[command][1:]}.",
        epilog=_EXAMPLES.get(command),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    if command in ("load", "validate"):
        add("paths", nargs="*", metavar="FILE", help="compose file; several are merged, the later wins")
    if command in ("run", "form", "schema", "graph"):
        add("workflow", nargs="?", metavar="WORKFLOW", help="the workflow's id; the default one otherwise")
    if command in ("run", "form"):
        add("-i", dest="pairs", action="append", default=[], metavar="NAME=VALUE", help="one input; =$name: a variable")
        add("--input", dest="whole", metavar="JSON", help="all inputs: JSON, or a $mapping")
    if command == "run":
        add("-p", dest="parameters", action="append", default=[], metavar="NAME=VALUE", help="like temperature=0.2")
        add("--seed", metavar="N", help="for the same text again; a number or $name")
        add("--timeout", metavar="SECONDS", help="stop and fail after this time; a number or $name")
        add("--noblock", action="store_true", help="return at once; the output follows the run")
        add("--quiet", action="store_true", help="show nothing; the Run is in -o NAME, or else the value")
    if command == "history":
        add("-n", dest="count", type=int, default=20, metavar="N", help="how many at most (20)")
    if command == "cancel":
        add("id", nargs="?", metavar="ID", help="the run's id, or how it begins; needed when several runs go on")
    if command == "unload":
        add("model", nargs="?", metavar="MODEL", help="the model's name; all of them otherwise")
    if command == "connect":
        add("url", metavar="URL", help="where the server is, like http://gpu-box:8888")
        add("--token", metavar="TOKEN", help="the server's; MCNB_TOKEN or JUPYTER_TOKEN of the environment otherwise")
    if command == "schema":
        add("--document", dest="whole", action="store_true", help="the schema of compose files themselves")
    if command in ("load", "run", "form", "validate", "schema", "graph"):
        add("-f", "--file", dest="files", action="append", default=[], metavar="FILE", help="compose file")
        told = "for ${env.NAME}; =$name: a variable"
        add("-e", "--env", dest="env", action="append", default=[], metavar="NAME=VALUE", help=told)
    if command in _BINDING:
        add("-o", dest="name", metavar="NAME", help=f"bind {_BINDING[command]} to a variable")
    return parser


_BINDING = {
    "load": "the loaded file",
    "run": "the Run",
    "form": "the form",
    "connect": "the connection",
    "schema": "the schema",
    "ps": "the table",
    "history": "the table",
    "models": "the table",
}

_EXAMPLES = {
    "load": "%compose load model-compose.yml\n%%compose load\ncomponent: {model: owner/name, text: '${input.prompt}'}",
    "run": '%compose run -i prompt="Once upon a time" -o story\n'
    "%compose run summary -i text=$article -p temperature=0.2 --seed 7\n"
    "%%compose run\nOnce upon a time\n\n"
    "The cell's body is a YAML or JSON mapping of inputs, or the text of the only text\n"
    "input that is required. Nothing in it is replaced: {braces} and $names stay.",
    "form": '%compose form -i prompt="Once upon a time"',
    "connect": "%compose connect http://gpu-box:8888\n\n"
    "Then run, form, schema, graph, ps and cancel are the server's. Better than --token, which is saved\n"
    "with the notebook: MCNB_TOKEN in the environment.",
    "cancel": "%compose cancel\n%compose cancel 3f2a",
    "unload": "%compose unload HuggingFaceTB/SmolLM2-135M-Instruct",
}
