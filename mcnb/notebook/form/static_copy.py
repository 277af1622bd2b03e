"""A form's last result as an ordinary output of its cell.

A widget lives in the browser: without a kernel, on GitHub or in an export nothing of it is left. So the last result
also stands in the cell as plain HTML, which the live form's own style sheet hides.
"""

from __future__ import annotations

import uuid
from typing import Any

from mcnb.runtime import Run
from mcnb.runtime.rich import html_of, mimebundle

CLASS = "mcnb-copy"


class StaticCopy:
    """The copy; one display id for all cells that show the form."""

    def __init__(self) -> None:
        self._id = uuid.uuid4().hex
        self._bundle: dict[str, Any] = {"text/html": f'<div class="{CLASS}"></div>', "text/plain": ""}
        self._is_displayed = False

    def display(self) -> None:
        """Put the copy into the current cell."""
        from IPython.display import display

        display(self._bundle, raw=True, display_id=self._id)
        self._is_displayed = True

    def show(self, run: Run) -> None:
        """Show a run, in every cell that has the copy; from any thread."""
        from IPython.display import update_display

        html = f'<div class="{CLASS}">{html_of(run)}</div>'
        self._bundle = {"text/html": html, "text/plain": mimebundle(run)["text/plain"]}
        if self._is_displayed:
            update_display(self._bundle, display_id=self._id, raw=True)
