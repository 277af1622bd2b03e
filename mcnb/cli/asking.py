"""The answers to a run that is interrupted: given with the command, or typed at the terminal."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterable
from typing import Any

import click

from mcnb.errors import InvalidInputError
from mcnb.runtime import Run
from mcnb.runtime.interruption import KEPT, Interruption
from mcnb.runtime.wording import part_name


class Answers:
    """Answers the interruptions of one run, in order.

    Parameters
    ----------
    given : iterable of str
        The texts of ``--answer``; an empty one keeps the value.
    """

    def __init__(self, given: Iterable[str]) -> None:
        self._given = deque(given)
        self._asks = sys.stdin.isatty() and sys.stderr.isatty()

    def resume(self, run: Run) -> None:
        """Answer a run that is interrupted.

        Raises
        ------
        InvalidInputError
            When an answer does not fit, or there is none and nobody to ask.
        """
        asked = run.interruption
        if asked is None:  # it was stopped meanwhile
            return
        if self._given:
            run.resume(_answer(asked, self._given.popleft()))
        elif self._asks:
            self._ask(run, asked)
        else:
            raise _unanswered(asked, "there is no terminal to ask on")

    def _ask(self, run: Run, asked: Interruption) -> None:
        """Show what it is about and take one line, until it fits."""
        shown = asked.text if asked.text is not None else json.dumps(asked.value, ensure_ascii=False, indent=2)
        click.echo(click.style(asked.question, bold=True), err=True)
        click.echo(shown, err=True, nl=not shown.endswith("\n"))
        kind = "" if asked.text is not None else " (JSON)"
        while True:
            click.echo(click.style(f"Enter keeps it; anything else replaces it{kind}: ", dim=True), err=True, nl=False)
            line = sys.stdin.readline()
            if not line:
                click.echo(err=True)
                raise _unanswered(asked, "the input has ended")
            try:
                run.resume(_answer(asked, line.rstrip("\r\n")))
            except InvalidInputError as error:
                if run.interruption is None:
                    return
                click.echo(f"error: {error}", err=True)
            else:
                return

    @property
    def unused(self) -> str | None:
        """What to tell of answers nobody asked for."""
        count = len(self._given)
        return f"{count} answer{'s were' if count > 1 else ' was'} not asked for" if count else None


def _answer(asked: Interruption, text: str) -> Any:
    return asked.answer_from_text(text) if text else KEPT


def _unanswered(asked: Interruption, why: str) -> InvalidInputError:
    where = f"the run waits {asked.phase} {part_name('job', asked.job)}"
    words = f" ({asked.message})" if asked.message else ""
    return InvalidInputError(
        f"{where}{words}, and {why}", hint="pass --answer TEXT for each time it asks; an empty TEXT keeps what is there"
    )
