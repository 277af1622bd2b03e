"""What ``%compose`` uses after ``%compose connect``: a server in place of files, and the runs there."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcnb.compose import Document, Inputs
from mcnb.errors import InvalidInputError
from mcnb.notebook.listing import LONGEST_WAIT, SHORT_ID, Seconds
from mcnb.runtime.table import Table

if TYPE_CHECKING:
    from mcnb.client import RemoteCompose


class Connected:
    """A server, where a ``Source`` has files.

    Parameters
    ----------
    compose : RemoteCompose
        What it offers.
    """

    def __init__(self, compose: RemoteCompose) -> None:
        self.compose = compose

    def with_values(self, more: Mapping[str, str]) -> Connected:
        """Return the server; raise InvalidInputError when there are values of ``-e``."""
        if more:
            hint = "%compose load goes back to the files of this notebook"
            raise InvalidInputError("-e: the server has environment values of its own", hint=hint)
        return self

    def open(self) -> RemoteCompose:
        """Return what the server offers now."""
        self.compose.refresh()
        return self.compose

    def read(self) -> Document:
        """Refuse: the server has checked its files.

        Raises
        ------
        InvalidInputError
        """
        raise InvalidInputError(
            f"the server at {self.compose.url} checks its own files", hint="%compose validate FILE checks one from here"
        )

    def chosen(self, workflow: str | None) -> tuple[Document, str]:
        """Return the document of a workflow, and the workflow's id in it."""
        return self.compose.chosen(workflow)

    def workflows(self) -> tuple[str, ...]:
        """Return the ids of the workflows, as far as they are known without asking again."""
        return self.compose.workflows

    def inputs(self, workflow: str | None) -> Inputs:
        """Return what a workflow asks for."""
        return self.compose.inputs(workflow)

    # --- the runs there -------------------------------------------------------------------------------------------

    def running(self) -> Table:
        """Return the runs of the server that are not done, whoever started them; the oldest first."""
        now = time.time()
        here = {run.id: run for run in self.compose.runs}
        rows = []
        for told in self.compose.under_way():
            run = here.get(told["run_id"])
            line = "" if run is None else run.status.line()
            age = Seconds(max(0.0, now - float(told.get("created") or now)))
            rows.append((told["run_id"][:SHORT_ID], _workflow(told), told.get("status"), line, age))
        return Table(("id", "workflow", "state", "status", "age"), rows, empty="nothing is running on the server")

    def cancel(self, beginning: str | None) -> str:
        """Stop a run of the server: the only one there is, or the one whose id begins so.

        Returns
        -------
        str
            What became of it.

        Raises
        ------
        InvalidInputError
            When there is no such run, or more than one.
        """
        runs = self.compose.under_way()
        found = [told for told in runs if told["run_id"].startswith(beginning or "")]
        if not runs:
            raise InvalidInputError("nothing is running on the server")
        if not found:
            listed = ", ".join(map(_named, runs))
            raise InvalidInputError(f"no run's id begins with {beginning}", hint=f"there are: {listed}")
        if len(found) > 1:
            named = "several runs go on" if beginning is None else f"the ids of several runs begin with {beginning}"
            raise InvalidInputError(named, hint="name one: " + ", ".join(map(_named, found)))
        (told,) = found
        state = self.compose.cancel(told["run_id"])
        run = next((run for run in self.compose.runs if run.id == told["run_id"]), None)
        if run is not None and run.wait(LONGEST_WAIT):
            tokens = run.record.usage.output_tokens
            return f"run {_named(told)} is {run.state}" + (f" after {tokens} tokens" if tokens else "")
        return f"run {_named(told)} is {'stopping' if state == 'cancelling' else state}"


def _named(told: Mapping[str, Any]) -> str:
    return f"{told['run_id'][:SHORT_ID]} of {_workflow(told)}"


def _workflow(told: Mapping[str, Any]) -> str:
    name = str(told.get("workflow_id", ""))
    return "the workflow" if name.startswith("__") else name
