"""The output of a cell that shows a run, in the cell's time and after it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from mcnb.notebook.live import follow
from mcnb.runtime import Run
from mcnb.runtime.rich import mimebundle

if TYPE_CHECKING:
    from mcnb.notebook.settings import Compose as Settings


_TOLD: dict[str, str] = {}
"""Warnings that cells of this kernel have shown, and beneath which run: a notebook says each of them once."""


class Display:
    """One output of the current cell that can be updated from any thread.

    Parameters
    ----------
    shell : InteractiveShell
        The cell's.
    settings : Settings
        How often it is updated, and with what.
    name : str, optional
        The variable that holds the run.
    """

    def __init__(self, shell: Any, settings: Settings, name: str | None = None) -> None:
        from IPython.core.displaypub import DisplayPublisher

        self._handle: Any = None
        self._settings = settings
        self._name = name or "_"
        self.is_live = type(shell.display_pub) is not DisplayPublisher
        """Whether an output can be updated; what was printed in a terminal cannot."""

    def follow(self, run: Run) -> None:
        """Follow a run until it is done or waits for a person; of the latter, the rest is followed in a thread."""
        if self.is_live:
            self._follow(run, settle=True)
            if run.state == "interrupted":
                self.follow_in_thread(run)
        else:
            run.settle()
            self.show(run)

    def follow_in_thread(self, run: Run) -> None:
        """Show a run as it is now, and follow it in a thread that ends with it."""
        self.show(run)
        if self.is_live and not run.done:
            threading.Thread(target=self._follow, args=(run,), name="mcnb-display", daemon=True).start()

    def show(self, run: Run) -> None:
        """Show a run as it is now."""
        self._publish(self._bundle(run))

    def _follow(self, run: Run, *, settle: bool = False) -> None:
        follow(run, self._publish, interval=self._settings.interval, show=self._bundle, settle=settle)

    def _bundle(self, run: Run) -> dict[str, Any]:
        warnings = _first_told(run) if run.done else ()
        return mimebundle(run, with_record=self._settings.show_record, name=self._name, warnings=warnings)

    def _publish(self, bundle: dict[str, Any]) -> None:
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _first_told(run: Run) -> list[str]:
    """Return the warnings that no other run of this kernel was shown with."""
    return [warning for warning in run.record.warnings if _TOLD.setdefault(warning, run.id) == run.id]
