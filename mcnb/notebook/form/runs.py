"""The runs of one form: started, repeated, looked up again."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from mcnb.errors import InvalidInputError
from mcnb.notebook.form.reading import read_inputs, read_parameters, read_seed
from mcnb.notebook.form.shown_run import ShownRun
from mcnb.notebook.form.snippets import snippets
from mcnb.notebook.form.spec import raw
from mcnb.runtime import Offering
from mcnb.runtime.interruption import KEPT

REMEMBERED = 50
"""Runs of a form."""


class FormRuns:
    """The runs of a form, the newest last.

    Parameters
    ----------
    compose : Offering
        The loaded file, or what a server offers.
    """

    def __init__(self, compose: Offering) -> None:
        self.compose = compose
        self.items: deque[ShownRun] = deque(maxlen=REMEMBERED)

    def start(
        self,
        workflow: str,
        fields: list[dict[str, Any]],
        held: Mapping[str, Any],
        overrides: Mapping[str, Any],
    ) -> ShownRun:
        """Start a run with what the controls hold.

        Raises
        ------
        InvalidInputError
            With what is wrong by field.
        """
        errors: list[dict[str, str]] = []
        values: dict[str, Any] = {}
        parameters: dict[str, Any] = {}
        seed = None
        try:
            values = read_inputs(fields, held)
        except InvalidInputError as error:
            errors += error.errors
        try:
            parameters = read_parameters(overrides)
            seed = read_seed(overrides)
        except InvalidInputError as error:
            errors += error.errors
        if errors:
            raise InvalidInputError("; ".join(item["message"] for item in errors), errors=errors)
        run = self.compose.submit(workflow, values, seed=seed, parameters=parameters)
        return self._kept(ShownRun(run, dict(held), dict(overrides), parameters))

    def repeat(self, run: object) -> ShownRun:
        """Run the record of a run again.

        Raises
        ------
        McnbError
            When it cannot be.
        """
        first = self.find(run)
        again = self.compose.submit_again(first.run.record)
        return self._kept(ShownRun(again, first.held, first.overrides, first.parameters))

    def _kept(self, item: ShownRun) -> ShownRun:
        self.items.append(item)
        return item

    def find(self, run: object) -> ShownRun:
        """Return the run with an id.

        Raises
        ------
        InvalidInputError
            When the form does not remember it.
        """
        for item in self.items:
            if item.run.id == run:
                return item
        raise InvalidInputError("this form does not remember that run any more")

    def next_after(self, item: ShownRun) -> ShownRun | None:
        """Return the first run that was started after another one and is not done."""
        items = list(self.items)
        later = items[items.index(item) + 1 :] if item in items else items
        return next((other for other in later if not other.done), None)

    def resume(self, run: object, answer: object) -> None:
        """Let an interrupted run go on with what the person wrote.

        Parameters
        ----------
        run : str
            Its id.
        answer : str or None
            The edited text, or JSON where the value is no single text; None leaves the value as it is.

        Raises
        ------
        InvalidInputError
            When the answer cannot be read or does not fit.
        """
        item = self.find(run)
        pause = item.run.interruption
        if pause is None:
            raise InvalidInputError("that run does not wait for an answer")
        shown = item.standing().get("pause", {}).get("value")
        try:
            is_new = isinstance(answer, str) and answer != shown
            item.run.resume(pause.answer_from_text(str(answer)) if is_new else KEPT)
        except InvalidInputError as error:
            errors = [{"field": "pause.answer", "message": error.message}]
            raise InvalidInputError(error.message, errors=errors) from error

    def code(self, run: object) -> dict[str, str]:
        """Return a run as code, by interface."""
        item = self.find(run)
        return snippets(self.compose.document, item.run.record, item.parameters, self.compose.served(item.run))

    def entries(self) -> list[dict[str, Any]]:
        """Return the history, the newest first."""
        return [item.entry() for item in reversed(self.items)]

    @staticmethod
    def held(fields: list[dict[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
        """Return what controls hold that show values."""
        kinds = {field["name"]: field["kind"] for field in fields}
        unknown = [name for name in values if name not in kinds]
        if unknown:
            raise InvalidInputError(f"there is no input '{unknown[0]}'", hint=f"known: {', '.join(kinds)}")
        return {name: raw(value, kinds[name]) for name, value in values.items()}
