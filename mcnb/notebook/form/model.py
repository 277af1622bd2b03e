"""What the form and its views in the browser share: traits, and the browser's side itself."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from importlib import resources
from typing import Any

import anywidget
import traitlets

_ASKED = ("workflow", "mode", "values", "overrides")
"""The traits that the browser changes."""

SCRIPTS = ("dom", "fields", "parameters", "stream", "output", "pause", "history", "batch", "choices", "form")
"""The parts of the browser's side, in the order in which they stand in its one module."""


def _script() -> str:
    folder = resources.files(__package__) / "static"
    return "\n".join((folder / f"{name}.js").read_text(encoding="utf-8") for name in SCRIPTS)


def _style() -> str:
    return (resources.files(__package__) / "static" / "form.css").read_text(encoding="utf-8")


class FormModel(anywidget.AnyWidget):  # type: ignore[misc]
    """The state of a form between runs: what a second view, a reloaded page or a saved notebook shows.

    The browser changes what its controls hold, and nothing else.

    Attributes
    ----------
    lock : RLock
        Held by whoever changes the form.
    """

    lock: AbstractContextManager[bool]

    _esm = _script()
    _css = _style()

    spec: Any = traitlets.List().tag(sync=True)
    workflow = traitlets.Unicode().tag(sync=True)
    mode = traitlets.Enum(("one", "batch"), "one").tag(sync=True)
    values = traitlets.Dict(traitlets.Dict(), help="What the controls hold, by workflow and input.").tag(sync=True)
    overrides = traitlets.Dict(traitlets.Dict(), help="What the parameter controls hold, by workflow.").tag(sync=True)
    errors = traitlets.Dict(help="Sentences by field; those of the whole form stand under ''.").tag(sync=True)
    shown = traitlets.Dict(help="How the shown run stands.").tag(sync=True)
    text = traitlets.Unicode(help="The text of the shown run, once it is done.").tag(sync=True)
    history: Any = traitlets.List(help="The runs, the newest first.").tag(sync=True)
    batch = traitlets.Dict().tag(sync=True)

    @traitlets.validate("workflow")
    def _known(self, proposal: Mapping[str, Any]) -> str:
        if proposal["value"] not in [item["id"] for item in self.spec]:
            raise traitlets.TraitError(f"there is no workflow {proposal['value']!r}")
        return str(proposal["value"])

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the browser changed, never while another thread changes the form."""
        given = {name: value for name, value in sync_data.items() if name in _ASKED}
        with self.lock:
            try:
                super().set_state(given)
            except traitlets.TraitError:
                self.send_state(list(given))  # what holds instead
