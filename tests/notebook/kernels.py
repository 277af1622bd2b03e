"""Notebooks in real kernels, with everything the kernel says on the way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook

When = Callable[["Notebook"], bool]


class Notebook(NotebookClient):
    """A notebook that runs in a kernel, and may be interrupted.

    Attributes
    ----------
    messages : list of (float, dict)
        What the kernel said to everybody, with the time (seconds since 1970) it came here.
    interrupted_at : float or None
        When the kernel was interrupted.
    """

    def __init__(self, *cells: str, interrupt_when: When | None = None) -> None:
        notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
        super().__init__(notebook, kernel_name="python3", allow_errors=True, timeout=300)
        self.messages: list[tuple[float, dict[str, Any]]] = []
        self.interrupted_at: float | None = None
        self._interrupt_when = interrupt_when

    def process_message(self, msg: dict[str, Any], cell: Any, cell_index: int) -> Any:
        self.messages.append((time.time(), msg))
        if self._interrupt_when is not None and self.interrupted_at is None and self._interrupt_when(self):
            self.interrupted_at = time.time()
            self._interrupting = asyncio.ensure_future(self.km.interrupt_kernel())  # kept, or it might be collected
        return super().process_message(msg, cell, cell_index)

    def run(self) -> Notebook:
        """Run all cells; cells that fail keep their errors."""
        self.execute()
        return self

    def updates(self) -> list[str]:
        """The texts that outputs were updated to."""
        found = [msg for _, msg in self.messages if msg["msg_type"] == "update_display_data"]
        return [msg["content"]["data"]["text/plain"] for msg in found]

    def outputs(self, cell: int) -> list[Any]:
        return list(self.nb.cells[cell].outputs)

    def error(self, cell: int) -> Any:
        """The error a cell ended with."""
        (found,) = [output for output in self.outputs(cell) if output.output_type == "error"]
        return found

    def shown(self, cell: int) -> str:
        """The one thing a cell shows, as text."""
        (found,) = [o for o in self.outputs(cell) if o.output_type in ("display_data", "execute_result")]
        return str(found.data["text/plain"])

    def printed(self, cell: int) -> str:
        return "".join(o.text for o in self.outputs(cell) if o.output_type == "stream" and o.name == "stdout")

    def check(self) -> None:
        """The notebook that results is a valid one."""
        nbformat.validate(self.nb)


def texts_seen(number: int, start: str) -> When:
    """When so many different updates were seen whose text begins in a certain way."""
    return lambda notebook: len({text for text in notebook.updates() if text.startswith(start)}) >= number
