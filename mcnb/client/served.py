"""The workflows of a server, and the documents they are in."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

from mcnb.client.replies import cannot_understand
from mcnb.client.server import Server
from mcnb.compose import Document, Environment, document_from_source
from mcnb.compose.suggest import listed, suggestion
from mcnb.errors import DocumentError, InvalidInputError, McnbError, ServerError
from mcnb.runtime.plan import make_plan
from mcnb.runtime.shown import shown as shown_jobs

Shown: TypeAlias = Mapping[str, bool]
"""The jobs whose text is the run's, and whether that is Markdown."""

_STAND_INS = (None, "1", "true")
"""What stands for environment values, which no server tells: their names, or where those do not fit, a number."""


@dataclass(frozen=True)
class Found:
    """A workflow of a server.

    Attributes
    ----------
    id : str
        By which the server knows it.
    document : Document
        In which it is; environment values are not those of the server.
    name : str
        Its id there.
    digest : str
        Of the document at the server, where access tokens stand that it tells nobody.
    """

    id: str
    document: Document
    name: str
    digest: str

    @property
    def shown(self) -> Shown:
        """Which of its jobs' text is the run's."""
        try:
            plan = make_plan(self.document, self.document.workflow(self.name))
        except McnbError:  # the server may run what this version does not
            return {}
        return {job: _is_chat(plan.calls[job].component) for job in shown_jobs(plan)}


class Served:
    """The workflows that a server offers, asked for when they are needed and then kept.

    Parameters
    ----------
    server : Server
        Offers them.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._lock = threading.Lock()
        self._listed: dict[str, bool] = {}
        self._found: dict[str, Found] = {}
        self.refresh()

    def refresh(self) -> None:
        """Ask again: files may have been changed."""
        reply = self._server.get("workflows")
        entries = reply if isinstance(reply, list) else []
        if not all(isinstance(item, dict) and isinstance(item.get("workflow_id"), str) for item in entries):
            raise cannot_understand(self._server.url, "a workflow has no id")
        with self._lock:
            self._listed = {item["workflow_id"]: item.get("default") is True for item in entries}
            self._found = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Their ids."""
        return tuple(self._listed)

    def id_of(self, workflow: str | None) -> str:
        """Return the id of a workflow, or of the default one.

        Raises
        ------
        InvalidInputError
            When there is none of that id, or no default among several.
        """
        known = self._listed
        if workflow is not None:
            if workflow not in known:
                hint = suggestion(workflow, list(known), otherwise="it offers none at the moment")
                raise InvalidInputError(f"the server at {self._server.url} has no workflow '{workflow}'", hint=hint)
            return workflow
        defaults = [name for name, is_default in known.items() if is_default]
        if len(known) == 1 or len(defaults) == 1:
            return (defaults or list(known))[0]
        if not known:
            raise InvalidInputError(f"the server at {self._server.url} offers no workflow")
        hint = f"name one: {listed(known)}"
        raise InvalidInputError(f"the server at {self._server.url} offers several workflows", hint=hint)

    def find(self, workflow: str | None = None) -> Found:
        """Return a workflow with its document.

        Raises
        ------
        InvalidInputError
            As ``id_of``.
        ServerError
            When its document cannot be read here: from another version of mcnb, say.
        """
        chosen = self.id_of(workflow)
        with self._lock:
            found = self._found.get(chosen)
        if found is None:
            found = self._fetch(chosen)
            with self._lock:
                self._found[chosen] = found
        return found

    def all(self) -> tuple[Found, ...]:
        """Return all workflows."""
        return tuple(self.find(name) for name in self.ids)

    def _fetch(self, workflow: str) -> Found:
        reply = self._server.get(f"workflows/{quote(workflow, safe='')}")
        told = reply.get("document") if isinstance(reply, dict) else None
        if not isinstance(told, dict) or not isinstance(told.get("source"), dict) or "workflow" not in told:
            raise cannot_understand(self._server.url, f"workflow '{workflow}' comes without its document")
        names = [str(name) for name in told.get("env") or []]
        with self._lock:
            known = [item.document for item in self._found.values()]
        same = next((document for document in known if document.source == told["source"]), None)
        document = same or self._read(workflow, told["source"], names)
        return Found(workflow, document, str(told["workflow"]), str(told.get("digest") or document.digest))

    def _read(self, workflow: str, source: Mapping[str, Any], names: list[str]) -> Document:
        for stand_in in _STAND_INS:
            values = {name: stand_in or name for name in names}
            # an empty file of values, so that no .env of this machine is read
            environment = Environment((Path(os.devnull),), values)
            try:
                found = document_from_source(source, Path(), environment)
            except DocumentError as error:
                problem = error.problems[0]
                continue
            return replace(found, files=(f"<{self._server.url}>",))
        raise ServerError(
            f"the document of workflow '{workflow}' at {self._server.url} cannot be read here: {problem.message}",
            hint="mcnb there may be of another version; submit() works without the document",
        )


def _is_chat(component: Any) -> bool:
    return getattr(component, "task", "") == "chat-completion"
