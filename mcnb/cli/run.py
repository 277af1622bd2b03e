"""``mcnb run`` and ``mcnb repeat``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from mcnb.cli.options import document_options, read_input, read_json_file
from mcnb.cli.terminal import Terminal
from mcnb.compose import Document
from mcnb.errors import InvalidInputError, McnbError
from mcnb.runtime import Record, Run, default_runtime
from mcnb.runtime.run import text_of


def _output_options(command: Any) -> Any:
    for option in reversed(
        [
            click.option("-o", "--output", "path", metavar="FILE", help="Write the output to a file."),
            click.option("--json", "as_json", is_flag=True, help="Print the output as JSON."),
            click.option("--record", is_flag=True, help="Print output and record as JSON; 'mcnb repeat' takes it."),
            click.option("--timeout", type=float, metavar="SECONDS", help="Stop and fail after this time."),
            click.option("-q", "--quiet", is_flag=True, help="No progress and no last line."),
        ]
    ):
        command = option(command)
    return command


@click.command()
@click.argument("workflow", required=False)
@click.option("-i", "pairs", multiple=True, metavar="NAME=VALUE", help="One input; repeat for several.")
@click.option("--input", "whole", metavar="JSON", help="All inputs: JSON, @file.json, or @- for standard input.")
@click.option("--seed", type=int, metavar="N", help="For the same text again; drawn and recorded otherwise.")
@_output_options
@document_options
def run(
    document: Document,
    workflow: str | None,
    pairs: tuple[str, ...],
    whole: str | None,
    seed: int | None,
    timeout: float | None,
    **show: Any,
) -> None:
    """Run a workflow of a compose file.

    On a terminal the text streams. In a pipe, standard output is exactly the output: text as it is, JSON for
    mappings and lists.

    \b
    mcnb run -i prompt="Once upon a time"
    mcnb run -f model-compose.yml --input '{"prompt": "Hello"}' --seed 7 --json
    """
    values = read_input(document, workflow, whole, pairs)
    _show(default_runtime().submit(document, workflow, values, seed=seed, timeout=timeout), **show)


@click.command()
@click.argument("file", metavar="RECORD")
@_output_options
def repeat(file: str, timeout: float | None, **show: Any) -> None:
    """Run a record again: the same text.

    RECORD is a file that 'mcnb run --record' wrote, or - for standard input.
    """
    data = read_json_file(file)
    if isinstance(data, dict) and isinstance(data.get("record"), dict):
        data = data["record"]
    if not isinstance(data, dict):
        raise InvalidInputError(f"{file}: not a record")
    _show(default_runtime().repeat(Record.from_dict(data), timeout=timeout), **show)


def _show(run: Run, *, path: str | None, as_json: bool, record: bool, quiet: bool) -> None:
    """Follow a run, print its output, and end with the exit code it deserves."""
    streams = sys.stdout.isatty() and not (as_json or record or path)
    terminal = Terminal(sys.stdout if streams else None, sys.stderr, quiet=quiet)
    try:
        terminal.follow(run)
    except KeyboardInterrupt:
        _interrupted(run, terminal)
        raise
    if run.error is not None:
        raise run.error
    if record:
        text = json.dumps({"output": run.output, "record": run.record.to_dict()}, ensure_ascii=False, indent=2) + "\n"
    else:
        text = as_text(run.output, as_json=as_json)
    if path:
        _write(Path(path), text)
    elif not streams:
        sys.stdout.write(text)
        sys.stdout.flush()
    elif text_of(run.output) is None:
        click.echo(text, nl=False)
    terminal.last_line(run)


def as_text(output: Any, *, as_json: bool) -> str:
    """Write an output: text as it is, anything else (or everything, with `as_json`) as JSON with a last newline."""
    if isinstance(output, str) and not as_json:
        return output
    return json.dumps(output, ensure_ascii=False, indent=None if as_json else 2) + "\n"


def _interrupted(run: Run, terminal: Terminal) -> None:
    run.cancel()
    run.wait()
    terminal.clear()
    tokens = run.record.usage.output_tokens
    click.echo(f"\ninterrupted after {tokens} tokens" if tokens else "\ninterrupted", err=True)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise McnbError(f"the output could not be written to {path} ({error.strerror})") from error
