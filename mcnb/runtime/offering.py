"""Offering: what can be done with compose files, whoever computes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mcnb.compose import Document, Inputs, input_schema
from mcnb.errors import UnsupportedModelError
from mcnb.runtime.batch import Batch
from mcnb.runtime.record import Record
from mcnb.runtime.rows import Source
from mcnb.runtime.run import Run

if TYPE_CHECKING:
    from mcnb.notebook.form import RunForm


class Offering(ABC):
    """What can be done with compose files, whoever computes: this process, as of a ``Compose``, or a server."""

    url: str | None = None
    """The server's address; None in this process."""

    @property
    @abstractmethod
    def document(self) -> Document:
        """The loaded file."""

    @property
    @abstractmethod
    def runs(self) -> tuple[Run, ...]:
        """The runs, the newest last."""

    @abstractmethod
    def submit(
        self,
        workflow: str | None = None,
        input: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **inputs: Any,
    ) -> Run:
        """Start a run and return it at once.

        Parameters
        ----------
        workflow : str, optional
            Which workflow; by default the default one.
        input : mapping, optional
            The inputs; needed only for names that are not identifiers or are those of other parameters here.
        seed, parameters, timeout
            As in ``Runtime.submit``.
        **inputs
            The inputs by name.

        Raises
        ------
        InvalidInputError, NotSupportedError
        """

    @abstractmethod
    def submit_again(self, record: Record | Mapping[str, Any], *, timeout: float | None = None) -> Run:
        """Start a run of a record again and return it at once.

        Raises
        ------
        McnbError
            When it cannot be.
        """

    @abstractmethod
    def batch(
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
        """Start a run for every row of a list, a table or a file, and return at once; ``wait`` for it, or watch it.

        Parameters
        ----------
        rows : path, list, pandas.Series or pandas.DataFrame
            A path to a CSV, JSONL or Parquet file, or to a folder of them; a table with a column for each input; a list
            of mappings; a list or column of values for the only (required text) input.
        workflow : str, optional
            Which workflow; by default the default one.
        seed : int, optional
            Each row's seed is derived from it and the row's number: the same batch gives the same texts, whatever
            order the rows are computed in. Drawn when not given.
        parameters : mapping, optional
            Overrides of generation parameters, for all rows.
        engine : str
            ``local``: the models of this process, or those of the server; ``ray``: Ray Data and a pool of actors.
        address : str, optional
            Of a Ray cluster: ``auto``, ``ray://host:port``; by default a Ray of this machine's own.
        workers : int, optional
            Ray's actors; by default one for each GPU that is used, or else for each machine.
        batch_size : int, optional
            Rows that a model computes together; 32 by default.

        Returns
        -------
        Batch
            With a row for each; the runs are not among ``runs``.

        Raises
        ------
        InvalidInputError
            With everything that is wrong with the rows, by number and field, before anything starts.

        Examples
        --------
        >>> batch = compose.batch(["a cat", "a dog"])  # doctest: +SKIP
        >>> batch.wait()  # doctest: +SKIP
        >>> batch.to_pandas()  # doctest: +SKIP
        """

    def run(
        self,
        workflow: str | None = None,
        input: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        **inputs: Any,
    ) -> Run:
        """Run and wait. Ctrl-C cancels the run; its partial text stays in ``compose.runs[-1].text``.

        Parameters are those of ``submit``.

        Returns
        -------
        Run
            Completed; or interrupted, where the document asks a person: ``run.resume(answer)`` goes on.

        Raises
        ------
        McnbError
            What the run failed with.
        KeyboardInterrupt
            After Ctrl-C, when computing has stopped.
        """
        run = self.submit(workflow, input, seed=seed, parameters=parameters, timeout=timeout, **inputs)
        return wait_for(run)

    def repeat(self, record: Record | Mapping[str, Any], *, timeout: float | None = None) -> Run:
        """Run a record again and wait; the text is the same.

        Raises
        ------
        McnbError
            As ``run``.
        """
        return wait_for(self.submit_again(record, timeout=timeout))

    def form(self, workflow: str | None = None, values: Mapping[str, Any] | None = None, **inputs: Any) -> RunForm:
        """Return a form for the file's workflows; a notebook cell shows it.

        Parameters
        ----------
        workflow : str, optional
            The one shown first; by default the default one.
        values : mapping, optional
            What its inputs show first; needed only for names that are not identifiers or are those of parameters here.
        **inputs
            The same by name.

        Raises
        ------
        InvalidInputError
            When there is no such workflow or input.
        UnsupportedModelError
            When the widgets are not installed.
        """
        try:
            from mcnb.notebook.form import RunForm
        except ImportError as error:
            raise UnsupportedModelError(
                f"the form needs {error.name}, which is not installed", hint="pip install 'mcnb[kernel]'"
            ) from error
        return RunForm(self, workflow, {**(values or {}), **inputs})

    @property
    def workflows(self) -> tuple[str, ...]:
        """The ids of the workflows."""
        return tuple(workflow.id for workflow in self.document.workflows)

    def chosen(self, workflow: str | None = None) -> tuple[Document, str]:
        """Return the document that a workflow, or the default one, is in, and its id there.

        Raises
        ------
        InvalidInputError
            When there is none of that id, or no default among several.
        """
        return self.document, self.document.workflow(workflow).id

    def served(self, run: Run) -> tuple[str, str] | None:
        """Return the address of the server that computes a run, and the workflow's id there; None in this process."""
        return None

    def inputs(self, workflow: str | None = None) -> Inputs:
        """Return what a workflow asks for."""
        document, name = self.chosen(workflow)
        return document.inputs(name)

    def schema(self, workflow: str | None = None) -> dict[str, Any]:
        """Return the JSON Schema of a workflow's input."""
        document, name = self.chosen(workflow)
        return input_schema(document.inputs(name), document.workflow(name))


def wait_for(run: Run) -> Run:
    """Wait for a run as an interactive caller does, until it is done or asks its caller something.

    Ctrl-C cancels it, and is raised again when it has stopped.
    """
    try:
        run.settle()
    except KeyboardInterrupt:
        run.cancel()
        run.wait()
        raise
    if run.error is not None:
        raise run.error
    return run
