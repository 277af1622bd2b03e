"""RemoteCompose: the workflows of a server; what ``mcnb.connect`` returns."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from mcnb.client import requests
from mcnb.client.batch import start_batch
from mcnb.client.run import RUN_ID, RemoteRun
from mcnb.client.served import Found, Served, Shown
from mcnb.client.server import Server
from mcnb.compose import Document
from mcnb.errors import InvalidInputError, NotFoundError, ServerError
from mcnb.runtime import Batch, Offering, Record, Run
from mcnb.runtime.batch import WINDOW, check_engine
from mcnb.runtime.rows import Source
from mcnb.runtime.runtime import HISTORY


class RemoteCompose(Offering):
    """The workflows of a server, as ``Compose`` offers those of a file.

    Made by ``mcnb.connect``. Safe to use from any thread. Its connections are closed by ``close``, at the end of a
    ``with`` block, or when nothing refers to it any more.

    Parameters
    ----------
    server : Server
        Computes.
    served : Served, optional
        What it offers.
    only : Document, optional
        Offer the workflows of this one of its documents alone, under the ids they have there.

    Attributes
    ----------
    url : str
        The server's address.
    """

    url: str

    def __init__(self, server: Server, served: Served | None = None, only: Document | None = None) -> None:
        self.url = server.url
        self._server = server
        self._served = Served(server) if served is None else served
        self._only = only
        self._runs: deque[RemoteRun] = deque(maxlen=HISTORY)
        self._lock = threading.Lock()

    # --- what is offered --------------------------------------------------------------------------------------------

    @property
    def workflows(self) -> tuple[str, ...]:
        """The ids of the workflows."""
        if self._only is not None:
            return tuple(workflow.id for workflow in self._only.workflows)
        return self._served.ids

    @property
    def document(self) -> Document:
        """The server's compose file; of several, the one with the default workflow.

        Environment values are not those of the server, which it tells nobody.
        """
        return self._only if self._only is not None else self._served.find().document

    def chosen(self, workflow: str | None = None) -> tuple[Document, str]:
        """Return the document that a workflow, or the default one, is in, and its id there."""
        found = self._find(workflow)
        return found.document, found.name

    def refresh(self) -> None:
        """Ask the server again what it offers: its files may have been changed."""
        self._served.refresh()

    def _find(self, workflow: str | None) -> Found:
        if self._only is None:
            return self._served.find(workflow)
        name = self._only.workflow(workflow).id
        return next(item for item in self._served.all() if (item.document, item.name) == (self._only, name))

    # --- runs -------------------------------------------------------------------------------------------------------

    def submit(  # noqa: D102 - as of an Offering
        self,
        workflow: str | None = None,
        input: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **inputs: Any,
    ) -> Run:
        values = {**(input or {}), **inputs}
        public, name, shown = self._place(workflow)
        body = requests.take(
            self._server,
            workflow=public,
            input=values,
            seed=seed,
            parameters=parameters,
            timeout=timeout,
            priority="interactive",
        )
        return self._followed_run(body, name, values, parameters or {}, shown)

    def submit_again(  # noqa: D102 - as of an Offering
        self, record: Record | Mapping[str, Any], *, timeout: float | None = None
    ) -> Run:
        found = record if isinstance(record, Record) else Record.from_dict(record)
        if timeout is None and RUN_ID.fullmatch(found.run_id):
            try:
                body = requests.retry(self._server, found.run_id)
            except NotFoundError:
                pass  # a run of another server, or of none
            else:
                public = str(body.get("workflow_id"))
                shown = self._shown(public) if public in self._served.ids else {}
                return self._followed_run(body, found.workflow, found.input, found.parameters, shown)
        place = self._of_digest(found)
        given = {key: value for key, value in found.parameters.items() if key != "seed"}
        body = requests.take(
            self._server,
            workflow=place.id,
            input=found.input,
            seed=found.seed,
            parameters=given,
            timeout=timeout,
            priority="interactive",
        )
        return self._followed_run(body, place.name, found.input, found.parameters, place.shown)

    def find(self, run_id: str) -> Run:
        """Return a run of the server, of whatever caller, and follow it from its beginning.

        Raises
        ------
        NotFoundError
            When the server knows no such run.
        """
        if not RUN_ID.fullmatch(run_id):
            raise NotFoundError(f"there is no run '{run_id}'")
        body = requests.look(self._server, run_id)
        public = str(body.get("workflow_id"))
        name, shown = public, self._shown(public) if public in self._served.ids else {}
        values = body.get("input")
        return self._followed_run(body, name, values if isinstance(values, dict) else {}, {}, shown)

    def batch(  # noqa: D102 - as of an Offering
        self,
        rows: Source,
        workflow: str | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        engine: str = "local",
        address: str | None = None,
        workers: int | None = None,
        batch_size: int | None = None,
    ) -> Batch:
        if check_engine(engine, address, workers, batch_size) != "local":
            raise InvalidInputError(
                f"the rows of this batch are runs of {self.url}, which no Ray computes",
                hint="leave the engine out; or mcnb.load(...) the file, whose batches can go to Ray",
            )
        found = self._find(workflow)
        return start_batch(self._server, found, rows, seed=seed, parameters=parameters, width=batch_size or WINDOW)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs that were started here, the newest last; those of batches are not among them."""
        with self._lock:
            return tuple(self._runs)

    def served(self, run: Run) -> tuple[str, str] | None:
        """Return the server's address, and by which id it knows the workflow of a run."""
        return self.url, run.served_as if isinstance(run, RemoteRun) else run.workflow

    def under_way(self) -> list[dict[str, Any]]:
        """Return what the server tells of its runs that are not done, whoever started them; the oldest first."""
        return requests.under_way(self._server)

    def cancel(self, run_id: str) -> str:
        """Stop a run of the server, whoever started it, and return its state then.

        Raises
        ------
        NotFoundError, ConflictError
            When the server knows no such run, or it has ended already.
        """
        if not RUN_ID.fullmatch(run_id):
            raise NotFoundError(f"there is no run '{run_id}'")
        return str(requests.cancel(self._server, run_id).get("status"))

    # --- the form -----------------------------------------------------------------------------------------------------

    def form(self, workflow: str | None = None, values: Mapping[str, Any] | None = None, **inputs: Any) -> Any:
        """Return a form for the workflows of one of the server's files, as of a ``Compose``."""
        if self._only is None:
            document, name = self.chosen(workflow)
            return RemoteCompose(self._server, self._served, document).form(name, values, **inputs)
        return super().form(workflow, values, **inputs)

    # --- the connection -----------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the connections. Runs that are not done end here as failed; at the server they go on."""
        self._server.close()

    def __enter__(self) -> RemoteCompose:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self.url}: {', '.join(self.workflows) or 'no workflow'}"

    # ------------------------------------------------------------------------------------------------------------------

    def _place(self, workflow: str | None) -> tuple[str, str, Shown]:
        """Return a workflow's id for the server, its id in its document, and which jobs' text is its own."""
        try:
            found = self._find(workflow)
        except ServerError:  # the document is of no use here; the server knows what to do with it
            public = self._served.id_of(workflow)
            return public, public, {}
        return found.id, found.name, found.shown

    def _shown(self, public: str) -> Shown:
        try:
            return self._served.find(public).shown
        except ServerError:
            return {}

    def _of_digest(self, record: Record) -> Found:
        digest = record.document.get("digest")
        for found in self._served.all():
            if found.digest == digest and found.name == record.workflow:
                return found
        raise InvalidInputError(
            f"the server at {self.url} has no document like that of the record",
            hint="repeat it where it was made, or give the server the same compose file",
        )

    def _followed_run(
        self, body: Mapping[str, Any], name: str, input: Mapping[str, Any], parameters: Mapping[str, Any], shown: Shown
    ) -> Run:
        run = RemoteRun(self._server, body, workflow=name, input=input, parameters=parameters, shown=shown)
        with self._lock:
            self._runs.append(run)
        return run
