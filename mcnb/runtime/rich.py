"""What a run looks like in a notebook: text, HTML, Markdown and JSON of one state, readable everywhere.

Plain strings, without Jupyter: JupyterLab, GitHub, nbconvert, VS Code and a terminal each take what they can show.
"""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from mcnb.runtime.events import Event
from mcnb.runtime.wording import progress_line, summary_line

if TYPE_CHECKING:
    from mcnb.runtime.run import Run

SHOWN_GENERATIONS = 8

_TEXT = "white-space: pre-wrap; overflow-wrap: anywhere; font-family: inherit; margin: 0.2em 0"
_QUIET = "font-size: 0.85em; opacity: 0.72; margin: 0.2em 0"
_RECORD = "font-size: 0.8em; max-height: 24em; overflow: auto"


def mimebundle(run: Run, *, progress: Event | None = None, with_record: bool = True) -> dict[str, Any]:
    """Return the representations of a run in its present state, by MIME type.

    Parameters
    ----------
    run : Run
        In any state.
    progress : Event, optional
        The latest event that tells how far it is, while there is no text yet.
    with_record : bool
        Whether the HTML of a finished run holds its record, folded.
    """
    body, note = _body(run), _note(run, progress)
    plain = "\n\n".join(part for part in (body, f"[{note}]" if note else "") if part)
    return {
        "text/plain": plain,
        "text/html": _html(run, body, note, with_record=with_record),
        "text/markdown": "\n\n".join(part for part in (_fenced(body), f"*{note}*" if note else "") if part),
    }


def _body(run: Run) -> str:
    if run.state != "completed":
        return run.text
    output = run.output
    if isinstance(output, dict) and len(output) == 1 and isinstance(run.text, str) and run.text:
        return run.text
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)


def _note(run: Run, progress: Event | None) -> str:
    if run.state in ("pending", "processing", "cancelling", "interrupted"):
        if progress is not None and not run.text:
            return progress_line(progress, progress.time - run.record.created)
        return {"pending": "waiting", "processing": "generating", "cancelling": "stopping"}.get(run.state, run.state)
    note = summary_line(run.record) if run.record.generations else ""
    if run.state == "failed" and run.error is not None:
        note = f"failed: {run.error}" + (f" · {note}" if note else "")
    elif run.state == "cancelled":
        note = "cancelled" + (f" · {note}" if note else "")
    return note


def _html(run: Run, body: str, note: str, *, with_record: bool) -> str:
    parts = [f'<div style="{_TEXT}">{html.escape(body)}</div>'] if body else []
    if note:
        parts.append(f'<div style="{_QUIET}">{html.escape(note)}</div>')
    if with_record and run.done and run.record.generations:
        record = html.escape(json.dumps(_record(run), ensure_ascii=False, indent=2, default=str))
        parts.append(
            f'<details style="{_QUIET}"><summary>record</summary><pre style="{_RECORD}">{record}</pre></details>'
        )
    return f'<div style="padding: 0 0.5em">{"".join(parts)}</div>'


def _record(run: Run) -> dict[str, Any]:
    """Return the record; of a large batch, the first generations only: notebooks are files that people share."""
    record = run.record.to_dict()
    if left := record["generations"][SHOWN_GENERATIONS:]:
        record["generations"] = [*record["generations"][:SHOWN_GENERATIONS], f"and {len(left):,} more"]
    return record


def _fenced(text: str) -> str:
    if not text:
        return ""
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}text\n{text}\n{fence}"
