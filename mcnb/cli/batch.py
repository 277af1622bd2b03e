"""``mcnb batch``."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from mcnb.cli.options import OpenDocument, document_options
from mcnb.cli.terminal import Terminal
from mcnb.errors import InvalidInputError
from mcnb.models.parameters import parse_parameter

if TYPE_CHECKING:
    from mcnb.batch import Engine, Standing

_EVERY = 0.1
"""Seconds between two progress lines."""


@click.command()
@click.argument("words", nargs=-1, required=True, metavar="[WORKFLOW] INPUT")
@click.option("-o", "--output", "path", required=True, metavar="OUTPUT", help="File, or folder (a slash behind it).")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="Who computes.")
@click.option("--address", metavar="ADDRESS", help="Of a Ray cluster: auto, HOST:PORT, ray://HOST:PORT; else its own.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Ray's: models at a time; one a machine.")
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N", help="Rows a model computes together [32].")
@click.option("--resume", is_flag=True, help="Go on where the same job was stopped.")
@click.option("--retry-failed", is_flag=True, help="Compute the rows again that failed; the others stay.")
@click.option("--seed", type=int, metavar="N", help="For the same texts again; drawn and kept otherwise.")
@click.option("-p", "parameters", multiple=True, metavar="NAME=VALUE", help="Generation parameter of all rows.")
@click.option("--key", metavar="COLUMN", help="By what rows are known; their number otherwise.")
@click.option("--keep", multiple=True, metavar="COLUMN", help="No input, but wanted in the output; repeat for several.")
@click.option("--drop", multiple=True, metavar="COLUMN", help="No input, and not wanted; repeat for several.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no last line.")
@document_options
def batch(open_document: OpenDocument, words: tuple[str, ...], path: str, quiet: bool, **options: Any) -> None:
    """Run a workflow for every row of a file.

    INPUT is a CSV, JSONL or Parquet file, or a folder of them; its columns are the workflow's inputs. OUTPUT gets a row
    for each: its inputs, what came out, and the error of a row that failed. What is done is kept in OUTPUT.journal
    until all of it is: --resume goes on after a stop, a crash, or a kill.

    \b
    mcnb batch topics.csv -o poems.parquet
    mcnb batch summarize articles/ -o summaries.jsonl --keep title --seed 7
    mcnb batch topics.csv -o poems.csv --engine ray --workers 4 --resume
    """  # noqa: D301 - the \b is for click: it keeps the lines that follow
    from mcnb.batch import Job, Output, Source, Watch

    if len(words) > 2:
        raise InvalidInputError(f"one INPUT, and a WORKFLOW before it at most, got {' '.join(words)}")
    workflow = words[0] if len(words) == 2 else None
    document = open_document()
    output = Output(path)
    key, keep, drop = options["key"], options["keep"], options["drop"]
    source = Source(words[-1], document.inputs(workflow), key=key, keep=keep, drop=drop)
    engine = _engine(**{name: options[name] for name in ("engine", "address", "workers", "batch_size")})
    job = Job(
        document,
        source,
        output,
        workflow,
        seed=options["seed"],
        parameters=dict(map(parse_parameter, options["parameters"])),
        resume=options["resume"],
        retry_failed=options["retry_failed"],
    )
    screen = _Screen(quiet=quiet)
    try:
        standing = job.run(engine, Watch(screen.checking, screen.progress, screen.tell))
    except KeyboardInterrupt:
        screen.clear()
        if job.standing is None:
            click.echo("interrupted; nothing had begun", err=True)
        else:
            done, total = job.standing.finished, job.standing.total
            click.echo(f"interrupted after {done:,} of {total:,} rows, which are kept", err=True)
            click.echo("the same command with --resume goes on", err=True)
        raise
    finally:
        screen.clear()
    screen.last(standing, path)


def _engine(engine: str, address: str | None, workers: int | None, batch_size: int | None) -> Engine:
    from mcnb.batch import Local

    if engine == "ray":
        from mcnb.batch.on_ray import OnRay

        return OnRay(address=address, workers=workers, batch_size=batch_size)
    for option, value in (("--address", address), ("--workers", workers)):
        if value is not None:
            raise InvalidInputError(f"{option} is Ray's", hint="add --engine ray")
    return Local(batch_size)


class _Screen:
    """What a person at a terminal sees of a job; a pipe gets notes and the last line alone."""

    def __init__(self, *, quiet: bool) -> None:
        self._terminal = Terminal(None, sys.stderr, quiet=quiet)
        self._quiet = quiet
        self._shown = 0.0

    def checking(self, rows: int) -> None:
        self._show(f"checking rows  {rows:,}")

    def progress(self, standing: Standing) -> None:
        self._show("starting" if not standing.fresh else standing.line())

    def _show(self, line: str) -> None:
        now = time.monotonic()
        if self._terminal.is_terminal and now - self._shown >= _EVERY:
            self._shown = now
            self._terminal.show(line)

    def tell(self, sentence: str) -> None:
        if not self._quiet:
            self._terminal.clear()
            click.echo(sentence, err=True)

    def clear(self) -> None:
        self._terminal.clear()

    def last(self, standing: Standing, path: str) -> None:
        if self._quiet or not standing.total:
            return
        click.echo(click.style(f"{path}: {standing.last_line()}", dim=True), err=True)
        if standing.failed:
            click.echo("their rows say why; the same command with --retry-failed computes them again", err=True)
