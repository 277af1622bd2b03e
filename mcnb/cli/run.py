"""``mcnb run`` and ``mcnb repeat``."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import click

from mcnb.cli.asking import Answers
from mcnb.cli.options import (
    OpenDocument,
    ServerOptions,
    document_options,
    environment_options,
    read_input,
    read_json,
    server_options,
)
from mcnb.cli.output_file import OutputFile
from mcnb.cli.terminal import Terminal
from mcnb.compose import Environment
from mcnb.errors import InvalidInputError
from mcnb.models.parameters import parse_parameter
from mcnb.runtime import Record, Run, default_runtime

_ANSWER_HELP = "Answer when the document asks a person; repeat for each time. Empty keeps what is there."


def _output_options(command: Any) -> Any:
    for option in reversed(
        [
            click.option("-o", "--output", "path", metavar="FILE", help="Write the output to a file."),
            click.option("--json", "as_json", is_flag=True, help="Print the output as JSON."),
            click.option("--record", is_flag=True, help="Print output and record as JSON; 'mcnb repeat' takes it."),
            click.option("--timeout", type=float, metavar="SECONDS", help="Stop and fail after this time."),
            click.option("--answer", "answers", multiple=True, metavar="TEXT", help=_ANSWER_HELP),
            click.option("-q", "--quiet", is_flag=True, help="No progress and no last line."),
        ]
    ):
        command = option(command)
    return command


@click.command()
@click.argument("workflow", required=False)
@click.option("-i", "pairs", multiple=True, metavar="NAME=VALUE", help="One input; repeat for several.")
@click.option("--input", "whole", metavar="JSON", help="All inputs: JSON, @file.json, or @- for standard input.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="Generation parameter of this run.")
@click.option("--seed", type=int, metavar="N", help="For the same text again; drawn and recorded otherwise.")
@_output_options
@server_options
@document_options
def run(
    open_document: OpenDocument,
    server: ServerOptions,
    workflow: str | None,
    pairs: tuple[str, ...],
    whole: str | None,
    parameters: tuple[str, ...],
    seed: int | None,
    timeout: float | None,
    **show: Any,
) -> None:
    """Run a workflow of a compose file.

    On a terminal the text streams. In a pipe, standard output is exactly the output: text as it is, JSON for
    mappings and lists.

    \b
    mcnb run -i prompt="Once upon a time"
    mcnb run -f model-compose.yml --input '{"prompt": "Hello"}' --seed 7 -p temperature=0.2 --json
    mcnb run --url http://gpu-box:8888 -i prompt="Once upon a time"
    """  # noqa: D301 - the \b is for click: it keeps the lines that follow
    given = dict(map(parse_parameter, parameters))
    remote = server.connect(files=open_document.files, environment=open_document.environment)
    if remote is not None:
        with remote:
            values = read_input(remote, workflow, whole, pairs)
            show_run(
                lambda: remote.submit(workflow, values, seed=seed, parameters=given, timeout=timeout),
                **show,
            )
        return
    document = open_document()
    values = read_input(document, workflow, whole, pairs)
    show_run(
        lambda: default_runtime().submit(document, workflow, values, seed=seed, parameters=given, timeout=timeout),
        **show,
    )


@click.command()
@click.argument("file", metavar="RECORD")
@_output_options
@server_options
@environment_options
def repeat(file: str, environment: Environment, server: ServerOptions, timeout: float | None, **show: Any) -> None:
    """Run a record again: the same text.

    RECORD is a file that 'mcnb run --record' wrote, or - for standard input. A record holds no environment values;
    those its document uses are taken from the environment again.
    """
    data = read_json(f"@{file}", file)
    if isinstance(data, dict) and isinstance(data.get("record"), dict):
        data = data["record"]
    if not isinstance(data, dict):
        raise InvalidInputError(f"{file}: not a record", hint="'mcnb run --record' writes one")
    record = Record.from_dict(data)
    remote = server.connect(environment=environment)
    if remote is not None:
        with remote:
            show_run(lambda: remote.submit_again(record, timeout=timeout), **show)
        return
    show_run(lambda: default_runtime().repeat(record, environment=environment, timeout=timeout), **show)


def show_run(
    start: Callable[[], Run],
    *,
    path: str | None,
    as_json: bool,
    record: bool,
    quiet: bool,
    answers: tuple[str, ...],
) -> None:
    """Start a run, follow it, and print its output.

    Raises
    ------
    McnbError
        What the run failed with; an unanswered interruption cancels it.
    KeyboardInterrupt
        After an interrupt, when computing has stopped.
    """
    target = None if path is None else OutputFile(path)  # refused now rather than when the text is there
    streams = sys.stdout.isatty() and not (as_json or record or path)
    terminal = Terminal(sys.stdout if streams else None, sys.stderr, quiet=quiet)
    replies = Answers(answers)
    found = start()
    try:
        terminal.follow(found, replies.resume)
    except InvalidInputError:
        found.cancel()
        found.wait()
        raise
    except KeyboardInterrupt:
        found.cancel()
        found.wait()
        terminal.interrupted(found)
        raise
    if found.error is not None:
        raise found.error
    if record:
        text = json.dumps({"output": found.output, "record": found.record.to_dict()}, ensure_ascii=False, indent=2)
        text += "\n"
    else:
        text = as_text(found.output, as_json=as_json)
    if target is not None:
        target.write(text)
    elif not terminal.wrote_text:
        print_output(text)
    if replies.unused and not quiet:
        click.echo(replies.unused, err=True)
    terminal.last_line(found)


def as_text(output: Any, *, as_json: bool) -> str:
    """Write an output: text as it is, anything else (or everything, with `as_json`) as JSON with a last newline."""
    if isinstance(output, str) and not as_json:
        return output
    return json.dumps(output, ensure_ascii=False, indent=None if as_json else 2) + "\n"


def print_output(text: str) -> None:
    """Print an output: on a terminal with a line's end, elsewhere exactly its bytes."""
    if sys.stdout.isatty():
        click.echo(text, nl=not text.endswith("\n"))
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())  # no translation of line ends, and UTF-8 everywhere
    sys.stdout.buffer.flush()
