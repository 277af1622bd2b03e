"""What a person at a terminal sees: progress lines, streamed text, the quiet last line."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import IO, Any

import click

from mcnb.runtime import Event, Run
from mcnb.runtime.tracking import StatusTracker
from mcnb.runtime.wording import summary_line

_PREPARATIONS = ("download", "convert", "load")
_SHOWN = ("waiting", *_PREPARATIONS, "prompt", "generating", "stopping")
"""What is worth a line; what comes after them says more itself."""


class Terminal:
    """Follows a run.

    Parameters
    ----------
    text : file or None
        Where streamed text goes; None shows progress alone.
    notes : file
        Where progress and the last line go.
    quiet : bool
        Show no progress and no last line.

    Attributes
    ----------
    wrote_text : bool
        Whether text was streamed.
    """

    def __init__(self, text: IO[str] | None, notes: IO[str], *, quiet: bool = False) -> None:
        self.text = text
        self.notes = notes
        self.quiet = quiet
        self.is_terminal = notes.isatty() and not quiet
        self.wrote_text = False
        self._line = ""
        self._tracker = StatusTracker()
        self._told: set[tuple[str, str]] = set()
        self._ends_line = True

    def follow(self, run: Run, answer: Callable[[Run], None]) -> None:
        """Show the run's events until it is done; when it is interrupted, `answer` it."""
        for event in run.events():
            self.progress(event)
            if event.type == "token" and event.data["streamed"] and self.text is not None:
                self.write(event.data["text"])
            elif event.type == "state" and event.data["state"] == "interrupted":
                self.clear()
                self.end_line()
                answer(run)
        self.clear()
        self.end_line()

    def write(self, text: str) -> None:
        """Write text at once."""
        if self.text is None or not text:
            return
        self.clear()
        self.text.write(text)
        self.text.flush()
        self.wrote_text = True
        self._ends_line = text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line behind the text."""
        if self.text is not None and not self._ends_line:
            self.write("\n")

    def progress(self, event: Event) -> None:
        """Show how far the work is: in place on a terminal, one line a model and stage elsewhere."""
        self._tracker.add(event)
        if self.is_terminal:
            status = self._tracker.status
            if status.stage in _SHOWN and not self.wrote_text:
                self.show(status.line())
        elif event.type in _PREPARATIONS and not self.quiet:
            key = event.type, event.data["what"]
            if key not in self._told:
                self._told.add(key)
                self.notes.write(self._tracker.status.line() + "\n")
                self.notes.flush()

    def show(self, line: str) -> None:
        """Show a line in place of the one before."""
        columns = _columns()
        line = line[: columns if line.isascii() else columns // 2]  # a Chinese character is two columns wide
        if line != self._line:
            self.clear()
            self._line = line
            self.notes.write(line)
            self.notes.flush()

    def clear(self) -> None:
        """Remove the progress line."""
        if self._line:
            self.notes.write("\r" + " " * _columns() + "\r")
            self.notes.flush()
            self._line = ""

    def interrupted(self, run: Run) -> None:
        """Tell that the run was interrupted; its text so far stays."""
        self.clear()
        self.end_line()
        tokens = run.record.usage.output_tokens
        click.echo(f"interrupted after {tokens} tokens" if tokens else "interrupted", file=self.notes)

    def last_line(self, run: Run) -> None:
        """Tell what the run was warned of, tokens, speed and the reason of the end."""
        if not self.quiet and run.record.generations:
            for warning in run.record.warnings:
                click.echo(click.style(f"warning: {warning}", dim=True), file=self.notes)
            click.echo(click.style(summary_line(run.record), dim=True), file=self.notes)


def _columns() -> int:
    """Return how many columns can be written without beginning a new line."""
    return shutil.get_terminal_size().columns - 1


def table(rows: list[dict[str, Any]], right: tuple[str, ...] = ()) -> str:
    """Lay rows out in columns."""
    if not rows:
        return ""
    names = list(rows[0])
    width = {name: max(len(name), *(len(str(row[name])) for row in rows)) for name in names}

    def line(row: dict[str, Any]) -> str:
        cells = [str(row[n]).rjust(width[n]) if n in right else str(row[n]).ljust(width[n]) for n in names]
        return "  ".join(cells).rstrip()

    return "\n".join([line({name: name for name in names}), *(line(row) for row in rows)])
