"""What a run looks like in a notebook: text, HTML, Markdown and data of one state, readable everywhere.

Plain strings, without Jupyter: JupyterLab, GitHub, nbconvert, VS Code and a terminal each take what they can show.
GitHub removes styles and scripts: what has lines stands in ``<pre>``. There are no colours: a dark theme has its own.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mcnb.runtime.brief import brief_record, run_data
from mcnb.runtime.markdown import escaped, fenced, harmless
from mcnb.runtime.reading import text_of
from mcnb.runtime.wording import summary_line

if TYPE_CHECKING:
    from mcnb.runtime.run import Run

DATA_TYPE = "application/vnd.mcnb.run+json"
"""Of the run as data. Not ``application/json``: JupyterLab (rank 0; HTML has 50) and VS Code would show that first."""

_DATA = "white-space: pre-wrap; overflow-wrap: anywhere; word-break: normal; background: none; margin: 0.2em 0"
_TEXT = f"{_DATA}; font-family: inherit"
_QUIET = "font-size: 0.85em; opacity: 0.75; margin: 0.2em 0"
_RECORD = "font-size: 0.8em; max-height: 24em; overflow: auto"


def mimebundle(
    run: Run, *, with_record: bool = True, name: str | None = None, warnings: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the representations of a run in its present state, by MIME type.

    Parameters
    ----------
    run : Run
        In any state.
    with_record : bool
        Whether a finished run comes with its record, folded, and with its data.
    name : str, optional
        What the run is called where it is shown; of an interrupted run it is then said how to go on.
    warnings : sequence of str
        Those of its warnings that are told beneath it.

    Returns
    -------
    dict
        ``text/plain``, ``text/markdown``, and ``text/html`` unless the text is Markdown: notebooks prefer HTML, and
        would show that text as it is written.
    """
    shown = _Shown(run, name, warnings)
    bundle: dict[str, Any] = {"text/plain": shown.plain()}
    if not shown.is_markdown:
        bundle["text/html"] = html_of(run, with_record=with_record, name=name, warnings=warnings)
    bundle["text/markdown"] = shown.markdown(with_record=with_record)
    if with_record and (run.done or run.state == "interrupted"):
        bundle[DATA_TYPE] = run_data(run)
    return bundle


def html_of(run: Run, *, with_record: bool = True, name: str | None = None, warnings: Sequence[str] = ()) -> str:
    """Return a run as HTML; text that is Markdown stands there as it is written.

    Parameters are those of ``mimebundle``.
    """
    shown = _Shown(run, name, warnings)
    parts = [f"<div>{html.escape(line)}</div>" for line in shown.first]
    if shown.body:
        # a browser drops a line break right behind <pre>
        style = _TEXT if shown.language == "text" else _DATA
        parts.append(f'<pre dir="auto" style="{style}">\n{html.escape(shown.body)}</pre>')
    parts += [f"<div>{html.escape(line)}</div>" for line in shown.next]
    parts += [f'<div style="{_QUIET}">{html.escape(line)}</div>' for line in shown.quiet]
    if with_record:
        parts.append(_folded_record(run))
    return f'<div style="padding: 0 0.5em">{"".join(parts)}</div>'


class _Shown:
    """What is said about a run, before it is put into a form.

    Attributes
    ----------
    first, next : tuple of str
        Sentences before and after the text.
    body : str
        The text; data as JSON.
    note : str
        The quiet last line.
    warnings : tuple of str
        Quiet lines above it.
    """

    def __init__(self, run: Run, name: str | None, warnings: Sequence[str]) -> None:
        self.run = run
        self.first: tuple[str, ...] = ()
        self.next: tuple[str, ...] = ()
        self.body, self.language = _body(run)
        self.note = summary_line(run.record) if run.done and run.record.generations else ""
        self.warnings = tuple(f"warning: {warning}" for warning in warnings)
        self.is_markdown = run.markdown and self.language == "text"
        asked = run.interruption
        if run.state == "failed" and run.error is not None:
            self.first = (f"failed: {run.error}",)
        elif run.state == "cancelled":
            self.note = " · ".join(part for part in ("cancelled", self.note) if part)
        elif asked is not None and name is not None:
            self.first = (asked.question,)
            other = "another value" if asked.text is None else "another text"
            self.next = (f'{name}.resume() goes on, {name}.resume("...") goes on with {other}, {name}.cancel() stops',)
        elif not run.done:
            self.note = run.status.line().replace("  ", " · ")  # HTML makes one space of several

    @property
    def quiet(self) -> tuple[str, ...]:
        """The warnings and the last line, where there are any."""
        return tuple(line for line in (*self.warnings, self.note) if line)

    def plain(self) -> str:
        notes = (f"[{line}]" for line in self.quiet)
        return "\n\n".join(part for part in (*self.first, self.body, *self.next, *notes) if part)

    def markdown(self, *, with_record: bool) -> str:
        body = harmless(self.body) if self.is_markdown else fenced(self.body, self.language)
        notes = (f"*{escaped(line)}*" for line in self.quiet)
        parts = [*map(escaped, self.first), body, *map(escaped, self.next), *notes]
        if with_record and self.is_markdown:  # what shows the others takes the HTML
            # no blank line may stand within, it would end the HTML, and no $, it would begin a formula
            parts.append(_folded_record(self.run).replace("$", "&#36;"))
        return "\n\n".join(part for part in parts if part)


def _body(run: Run) -> tuple[str, str]:
    """Return what a run has to show, and whether that is ``text`` or ``json``."""
    asked = run.interruption
    if asked is not None and asked.text is None and asked.value is not None:
        return _json(asked.value), "json"
    if run.state != "completed":
        return run.text, "text"
    text = text_of(run.output)
    return (_json(run.output), "json") if text is None else (text, "text")


def _folded_record(run: Run) -> str:
    if not run.done or not run.record.generations:
        return ""
    record = html.escape(_json(brief_record(run)))
    return f'<details style="{_QUIET}"><summary>record</summary><pre style="{_RECORD}">{record}</pre></details>'


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)
