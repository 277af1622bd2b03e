"""What a form shows of its runs, and how the browser hears of it."""

from __future__ import annotations

from typing import Any

from mcnb.notebook.form.model import FormModel
from mcnb.notebook.form.runs import FormRuns
from mcnb.notebook.form.shown_run import ShownRun
from mcnb.notebook.form.static_copy import StaticCopy


class Screen:
    """Shows one run at a time. While its text grows, only what is new travels, as numbered messages.

    Its methods are called with the form's lock held.

    Parameters
    ----------
    model : FormModel
        Carries traits and messages to the browser.
    runs : FormRuns
        The form's.
    copy : StaticCopy
        Gets every finished run.
    """

    def __init__(self, model: FormModel, runs: FormRuns, copy: StaticCopy) -> None:
        self._model = model
        self._runs = runs
        self._copy = copy
        self._showing: ShownRun | None = None
        self._sequence = 0

    def add(self, item: ShownRun) -> None:
        """Take in a run that was started: it is shown now, or when the one before it is done.

        Its line in the history and its state go in one message: no view lists it beside the state of another run.
        """
        with self._model.hold_sync():
            self._model.history = self._runs.entries()
            if self._showing is None or self._showing.done:
                self.show(item)

    def show(self, item: ShownRun) -> None:
        """Show a run."""
        self._showing = item
        self._sequence = 0
        with self._model.hold_sync():
            self._model.text = item.text if item.done else ""
            self._model.shown = item.standing()
        if not item.done:
            self._send_whole(item)

    def look(self, item: ShownRun) -> bool:
        """Tell the browser what is new about a run; return whether there is more to come."""
        text, anew, changed = item.read_events()
        if item is self._showing:
            if anew:
                self._send_whole(item)
            elif not item.done:
                self._send_news(item, text)
        if changed:
            with self._model.hold_sync():
                if item is self._showing:
                    self._model.text = item.text if item.done else ""
                    self._model.shown = item.standing()
                self._model.history = self._runs.entries()
        if item.done:
            self._copy.show(item.run)
            self._show_next(item)
        return not item.done

    def send_all(self) -> None:
        """Send the whole text, to a view that has missed some."""
        if self._showing is not None:
            self._send_whole(self._showing)

    def _show_next(self, item: ShownRun) -> None:
        waiting = self._runs.next_after(item)
        if item is self._showing and waiting is not None:
            self.show(waiting)

    def _send_news(self, item: ShownRun, text: str) -> None:
        message: dict[str, Any] = {"type": "news", "run": item.run.id, **item.progress}
        if text:
            self._sequence += 1
            message |= {"sequence": self._sequence, "text": text}
        self._model.send(message)

    def _send_whole(self, item: ShownRun) -> None:
        message = {"type": "whole", "run": item.run.id, "sequence": self._sequence, "text": item.text}
        self._model.send(message)
