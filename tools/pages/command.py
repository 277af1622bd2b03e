"""``mcnb``, from click, and ``%compose``, from its parsers."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Iterator

import click

from mcnb.cli.group import BAD_INPUT, FAILED, INTERRUPTED, mcnb
from mcnb.notebook.parser import COMMANDS, Parser, make_parsers
from tools.pages.text import code, fence, table

_INTRODUCTION = f"""\
# The command

This page is made from the command itself; `mcnb COMMAND --help` says the same. Without `-f` a command takes
`model-compose.yml`, then `model-compose.yaml`, of the working directory.

Exit codes: 0 completed, {FAILED} failed, {BAD_INPUT} bad file or input, {INTERRUPTED} interrupted. Errors go to
standard error, one line each.
"""

_MAGIC = """\
# The magic

`%load_ext mcnb` makes `%compose` and `%%compose`; it prints nothing and imports no model library. This page is made
from the magic's own parsers; `%compose COMMAND --help` says the same. Tab completes commands, options, files,
workflows, inputs and their choices.

Nothing of a line or a body is expanded by IPython: braces are safe. Values of the notebook come in by name, as
`-i prompt=$prompt` or `--input $mapping`.
"""


def page() -> str:
    """Return the page about the command."""
    context = click.Context(mcnb, info_name="mcnb")
    parts = [_INTRODUCTION]
    for name, command, inner in _commands(mcnb, context):
        parts.append(f"## {name}\n\n{_help(command)}\n\n{fence('text', ' '.join(_usage(command, inner)))}")
        parts.append(_parameters(command, inner))
    return "\n".join(parts)


def magic_page() -> str:
    """Return the page about the magic."""
    parsers = make_parsers()
    parts = [_MAGIC, table(["command", ""], ((code(f"%compose {name}"), text) for name, text in COMMANDS.items()))]
    for name in COMMANDS:
        parts.append(f"## %compose {name}\n\n{_described(parsers[name])}")
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None:
            raise ValueError(f"there is no command {name}")
        inner = click.Context(command, info_name=name, parent=context)
        yield inner.command_path, command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _usage(command: click.Command, context: click.Context) -> list[str]:
    return [context.command_path, *command.collect_usage_pieces(context)]


def _help(command: click.Command) -> str:
    """Return the help's paragraphs; one that begins with click's mark for "as it is" is a block of commands."""
    shown = []
    for paragraph in inspect.cleandoc(command.help or "").split("\n\n"):
        if paragraph.startswith("\b\n"):
            shown.append(fence("text", paragraph[2:]))
        else:
            shown.append(" ".join(paragraph.split()))
    return "\n\n".join(shown)


def _parameters(command: click.Command, context: click.Context) -> str:
    rows = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None:
            rows.append((code(record[0]), record[1]))
    return table(["option", "meaning"], rows)


def _described(parser: Parser) -> str:
    """Return what a parser says of itself."""
    said = [parser.description or "", fence("text", parser.format_usage().removeprefix("usage: "))]
    rows = [(code(_names(action)), action.help or "") for action in parser._actions if action.help is not None]
    said.append(table(["option", "meaning"], rows))
    if parser.epilog:
        said.append(fence("text", inspect.cleandoc(parser.epilog)))
    return "\n\n".join(said)


def _names(action: argparse.Action) -> str:
    value = f" {action.metavar}" if action.metavar and action.option_strings else ""
    return ", ".join(action.option_strings) + value if action.option_strings else str(action.metavar or action.dest)
