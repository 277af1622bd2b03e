"""RunForm: the widget. It takes what the browser asks for, and tells it what changes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import traitlets

from mcnb.errors import InvalidInputError, McnbError
from mcnb.notebook.form.batches import Batches
from mcnb.notebook.form.follower import Follower
from mcnb.notebook.form.model import FormModel
from mcnb.notebook.form.reading import draw_seed
from mcnb.notebook.form.runs import FormRuns
from mcnb.notebook.form.screen import Screen
from mcnb.notebook.form.shown_run import ShownRun
from mcnb.notebook.form.spec import workflows
from mcnb.notebook.form.static_copy import StaticCopy
from mcnb.notebook.form.variables import offered
from mcnb.runtime import Offering, Run


class RunForm(FormModel):
    """A form for the workflows of a compose file, made from their inputs.

    One widget with one comm. While text streams, only what is new travels, as numbered messages; the traits hold the
    state between runs, so that a second view, a reloaded page or a saved notebook shows the same.

    Every request of the browser is answered at once, whatever thread it comes in: it checks, submits, returns. A lock
    guards what the form's thread and the requests share.

    Parameters
    ----------
    compose : Offering
        The loaded file, or what a server offers.
    workflow : str, optional
        The one shown first; by default the default one.
    values : mapping, optional
        What its inputs show first.

    Attributes
    ----------
    runs : tuple of Run
        Those started here, the newest last.
    """

    def __init__(self, compose: Offering, workflow: str | None = None, values: Mapping[str, Any] | None = None) -> None:
        self.lock = threading.RLock()
        self._follower = Follower()
        self._copy = StaticCopy()
        self._runs = FormRuns(compose)
        self._screen = Screen(self, self._runs, self._copy)
        self._batches = Batches(compose, self._follower, self._tell_batch)
        self.compose = compose
        spec = workflows(compose.document)
        chosen = compose.document.workflow(workflow).id
        fields = next(item["fields"] for item in spec if item["id"] == chosen)
        held = {chosen: self._runs.held(fields, values)} if values else {}
        super().__init__(spec=spec, workflow=chosen, values=held)
        self.on_msg(self._receive)

    # --- for Python ---------------------------------------------------------------------------------------------

    @property
    def runs(self) -> tuple[Run, ...]:
        """Those started here, the newest last."""
        return tuple(item.run for item in self._runs.items)

    @property
    def results(self) -> Any:
        """The Batch that was run here last; None before the first."""
        return self._batches.batch

    def run(self) -> Run:
        """Start a run with what the form holds, as its Run button does.

        Raises
        ------
        InvalidInputError
            With what is wrong by field; the form shows it too.
        """
        with self.lock:
            try:
                return self._start({})
            except McnbError as error:
                self._refuse(error)
                raise

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until what was started here is done, and shown: where nobody looks, the cell must not end before.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Returns
        -------
        bool
            False when the timeout passed first.
        """
        return self._follower.wait(timeout)

    def close(self) -> None:
        """Let go of the browser's views, the thread and the widgets. Runs that are not done go on."""
        self._follower.close()
        with self.lock:
            layout = self.layout if self.comm is not None else None
            super().close()
            if layout is not None:
                layout.close()

    # --- requests of the browser ----------------------------------------------------------------------------------

    def _receive(self, _: Any, content: Any, buffers: Any) -> None:
        handlers: dict[str, Callable[[Mapping[str, Any]], object]] = {
            "run": self._start,
            "stop": self._stop,
            "resume": self._resume,
            "select": self._select,
            "repeat": self._repeat,
            "code": self._code,
            "sync": self._sync,
            "dice": self._dice,
            "variables": self._variables,
            "batch": self._batch,
            "batch-stop": self._batches.stop,
            "batch-retry": self._batches.retry,
            "batch-save": self._batch_save,
        }
        kind = content.get("type") if isinstance(content, dict) else None
        handler = handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            return
        with self.lock:
            try:
                handler(content)
            except McnbError as error:
                self._refuse(error)
            except traitlets.TraitError as error:
                self._refuse(InvalidInputError(f"the form cannot take this: {error}"))

    def _start(self, content: Mapping[str, Any]) -> Run:
        self._take(content)
        item = self._runs.start(self.workflow, self._fields(self.workflow), *self._held())
        self.errors = {}
        self._added(item)
        return item.run

    def _take(self, content: Mapping[str, Any]) -> None:
        """Take what the controls hold along with the request: their own messages may come later."""
        for name in ("workflow", "mode", "values", "overrides"):
            if name in content:
                setattr(self, name, content[name])

    def _held(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self.values.get(self.workflow, {}), self.overrides.get(self.workflow, {})

    def _fields(self, workflow: str) -> list[dict[str, Any]]:
        return next(item["fields"] for item in self.spec if item["id"] == workflow)

    def _refuse(self, error: McnbError) -> None:
        """Show an error at the fields it is about, and move to the first of them."""
        details = error.errors if isinstance(error, InvalidInputError) else ()
        found = {item["field"]: item["message"] for item in details}
        known = {field["name"] for field in self._fields(self.workflow)}
        if not found or not all(name in known or "." in name for name in found):
            found = {**{key: text for key, text in found.items() if key in known}, "": str(error)}
        self.errors = found
        self.send({"type": "focus", "field": next(iter(found))})

    def _added(self, item: ShownRun) -> None:
        self._screen.add(item)
        self._follower.watch(item.run.listen, lambda: self._look(item))

    def _look(self, item: ShownRun) -> bool:
        with self.lock:
            return self._screen.look(item)

    def _stop(self, content: Mapping[str, Any]) -> None:
        self._runs.find(content.get("run") or self.shown.get("run", "")).run.cancel()

    def _resume(self, content: Mapping[str, Any]) -> None:
        self._runs.resume(content.get("run"), content.get("answer"))
        self.errors = {}

    def _select(self, content: Mapping[str, Any]) -> None:
        item = self._runs.find(content.get("run"))
        with self.hold_sync():
            self.workflow = item.run.workflow
            self.values = {**self.values, self.workflow: dict(item.held)}
            self.overrides = {**self.overrides, self.workflow: dict(item.overrides)}
            self.errors = {}
            self._screen.show(item)

    def _repeat(self, content: Mapping[str, Any]) -> None:
        self._added(self._runs.repeat(content.get("run")))
        self.errors = {}

    def _code(self, content: Mapping[str, Any]) -> None:
        run = content.get("run")
        self.send({"type": "code", "run": run, "code": self._runs.code(run)})

    def _sync(self, content: Mapping[str, Any]) -> None:
        self._screen.send_all()
        self._batches.tell_all()

    def _dice(self, content: Mapping[str, Any]) -> None:
        held = {**self.overrides.get(self.workflow, {}), "seed": str(draw_seed()), "seed_locked": True}
        self.overrides = {**self.overrides, self.workflow: held}

    def _variables(self, content: Mapping[str, Any]) -> None:
        self.send({"type": "variables", "names": offered(_namespace())})

    def _batch(self, content: Mapping[str, Any]) -> None:
        self._take(content)
        fields = self._fields(self.workflow)
        self._batches.start(self.workflow, fields, *self._held(), content, _namespace())
        self.errors = {}

    def _batch_save(self, content: Mapping[str, Any]) -> None:
        name, value = self._batches.saved(str(content.get("name", "")))
        _namespace()[name] = value
        self.errors = {}
        self.send({"type": "saved", "name": name})

    def _tell_batch(self, message: Mapping[str, Any], standing: Mapping[str, Any] | None) -> None:
        with self.lock:
            if message:
                self.send({"type": "rows", **message})
            if standing is not None:
                self.batch = dict(standing)

    # --- display --------------------------------------------------------------------------------------------------

    def __repr__(self) -> str:
        return f"Form of {self.compose!r}"

    def _ipython_display_(self) -> None:
        """Display the widget, and after it the copy of the last result that outlives the kernel."""
        from IPython.display import display

        bundle = self._repr_mimebundle_() if self.comm is not None else {}  # closed, it has no view
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle or {}, {})
        titles = " / ".join(item["title"] for item in self.spec)
        data = {**data, "text/plain": f"A form: {titles}. Run this notebook to use it."}
        display(data, metadata=metadata, raw=True)
        self._copy.display()


def _namespace() -> dict[str, Any]:
    """Return the variables of the notebook."""
    from IPython import get_ipython

    shell = get_ipython()
    return shell.user_ns if shell is not None else {}
