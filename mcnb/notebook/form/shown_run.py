"""One run as a form shows it: what came so far, how it stands, and what it was started with."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mcnb.notebook.form.live_text import LiveText
from mcnb.runtime import Run
from mcnb.runtime.reading import text_of
from mcnb.runtime.run import TERMINAL
from mcnb.runtime.wording import summary_line

TITLE_LENGTH = 60


@dataclass
class ShownRun:
    """A run of the form.

    Attributes
    ----------
    run : Run
        The run.
    held : mapping
        What the input controls held.
    overrides : mapping
        What the parameter controls held.
    parameters : mapping
        The generation parameters set for it, without the seed.
    """

    run: Run
    held: Mapping[str, Any]
    overrides: Mapping[str, Any]
    parameters: Mapping[str, Any]
    live: LiveText = field(default_factory=LiveText)
    seen: int = 0
    state: str = "pending"
    word: str = "pending"
    """The state as readers see it: a run that has begun but waits for its model, which another one uses, is waiting."""

    @property
    def done(self) -> bool:
        """Whether its last event is among those that were read: its text is complete then."""
        return self.state in TERMINAL

    def read_events(self) -> tuple[str, bool, bool]:
        """Take in the new events; state, text and what is told about the run are those of the events read so far.

        Returns
        -------
        text : str
            The new piece of text.
        anew : bool
            Whether the text begins anew with it.
        changed : bool
            Whether its word changed.
        """
        before = self.word
        events = self.run.events_after(self.seen)
        self.seen += len(events)
        text, anew = self.live.take(events)
        states = [event.data["state"] for event in events if event.type == "state"]
        self.state = states[-1] if states else self.state
        is_waiting = self.state == "processing" and self.run.status.stage == "waiting"
        self.word = "pending" if is_waiting and not self.live else self.state
        return text, anew, self.word != before or bool(states)

    @property
    def text(self) -> str:
        """The text to show now: what came so far, or the output in the end."""
        run = self.run
        if self.state == "completed":
            text = text_of(run.output)
            return json.dumps(run.output, ensure_ascii=False, indent=2) if text is None else text
        return str(self.live) or (run.text if self.done else "")

    @property
    def progress(self) -> dict[str, Any]:
        """How it stands, in the words all interfaces use: ``line``, ``fraction``."""
        status = self.run.status
        return {"line": status.line(), "fraction": status.fraction}

    def standing(self) -> dict[str, Any]:
        """Return what the browser has to know at a change of state."""
        run = self.run
        told: dict[str, Any] = {"run": run.id, "state": self.state, "done": self.done, **self.progress}
        if self.done:
            told |= {"line": _last_line(run), "fraction": None, "seed": run.record.seed}
        pause = run.interruption
        if pause is not None and self.state == "interrupted":
            told["pause"] = {
                "job": "" if pause.job.startswith("__") else pause.job,
                "phase": pause.phase,
                "message": pause.message or "",
                "is_text": pause.text is not None,
                "value": json.dumps(pause.value, ensure_ascii=False, indent=2) if pause.text is None else pause.text,
            }
        return told

    def entry(self) -> dict[str, Any]:
        """Return the run's line in the form's history."""
        run = self.run
        return {
            "run": run.id,
            "state": self.word,
            "done": self.done,
            "time": time.strftime("%H:%M:%S", time.localtime(run.record.created)),
            "title": self._title(),
            "line": _last_line(run) if self.done else "",
        }

    def _title(self) -> str:
        texts = [value for value in self.run.record.input.values() if isinstance(value, str) and value.strip()]
        words = " ".join(texts[0].split()) if texts else "run"
        return words if len(words) <= TITLE_LENGTH else words[: TITLE_LENGTH - 1].rstrip() + "…"


def _last_line(run: Run) -> str:
    if run.state == "failed":
        return str(run.error)
    return summary_line(run.record) if run.record.generations else ""
