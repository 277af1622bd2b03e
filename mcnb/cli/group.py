"""The command itself: errors become one calm line and an exit code."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

import mcnb as package
from mcnb.collecting import paused
from mcnb.errors import DocumentError, ExpressionError, InvalidInputError, McnbError

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130

_COMMANDS = {
    "run": "mcnb.cli.run",
    "repeat": "mcnb.cli.run",
    "batch": "mcnb.cli.batch",
    "validate": "mcnb.cli.document",
    "schema": "mcnb.cli.document",
    "graph": "mcnb.cli.document",
    "render": "mcnb.cli.document",
    "models": "mcnb.cli.models",
    "up": "mcnb.cli.up",
    "down": "mcnb.cli.services",
    "ps": "mcnb.cli.services",
    "logs": "mcnb.cli.services",
}


class _Group(click.Group):
    """Loads a command when it is used, and turns errors into exit codes."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        home = _COMMANDS.get(cmd_name)
        with paused():
            command = getattr(importlib.import_module(home), cmd_name) if home else None
        return command if isinstance(command, click.Command) else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from mcnb.compose.suggest import did_you_mean

            hint = did_you_mean(args[0], _COMMANDS) if args else None
            if hint is None:
                raise
            raise click.UsageError(f"No such command '{args[0]}'; {hint}", ctx) from error

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except McnbError as error:
            _tell(error)
            bad = isinstance(error, DocumentError | InvalidInputError | ExpressionError)
            sys.exit(BAD_INPUT if bad else FAILED)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:
            # the reader of a pipe left: what is still to be written, goes nowhere
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(FAILED)


def _tell(error: McnbError) -> None:
    if isinstance(error, DocumentError):
        for problem in error.problems:
            click.echo(f"error: {problem}", err=True)
    else:
        click.echo(f"error: {error}", err=True)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package.__version__, prog_name="mcnb", message="%(prog)s %(version)s")
def mcnb() -> None:
    """Local language models from one YAML file."""
