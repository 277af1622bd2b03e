"""Job: many rows through one workflow, from a source into an output, with a journal beside it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcnb.batch.engine import Engine
from mcnb.batch.items import Items
from mcnb.batch.journal import Journal, journal_path
from mcnb.batch.output import Output
from mcnb.batch.source import Checked, Source
from mcnb.batch.standing import Standing
from mcnb.batch.task import Task
from mcnb.batch.trouble import Trouble
from mcnb.compose import Document
from mcnb.errors import InvalidInputError, McnbError
from mcnb.runtime.provenance import describe_document, versions
from mcnb.runtime.row_orders import RowOrders


@dataclass(frozen=True)
class Watch:
    """Who looks on; all of it is called by the thread that runs the job.

    Attributes
    ----------
    checking : callable
        Gets how many rows were checked.
    progress : callable
        Gets the Standing, after every few rows, and now and then while none comes.
    tell : callable
        Gets a sentence worth knowing.
    """

    checking: Callable[[int], None] = lambda rows: None
    progress: Callable[[Standing], None] = lambda standing: None
    tell: Callable[[str], None] = lambda sentence: None


class Job:
    """Many rows through one workflow.

    Parameters
    ----------
    document : Document
        The loaded file.
    source : Source
        The rows.
    output : Output
        Where they go.
    workflow : str, optional
        Which; by default the default one.
    seed : int, optional
        The seeds of the rows are derived from it and their keys; drawn when not given.
    parameters : mapping, optional
        Overrides of generation parameters, for all rows.
    resume : bool
        Whether to go on where the same job was stopped.
    retry_failed : bool
        Whether rows that failed then are computed again.

    Attributes
    ----------
    standing : Standing or None
        How far it is; None before the rows were checked.

    Raises
    ------
    InvalidInputError, NotSupportedError, UnsupportedModelError
        As ``Runtime.submit``; nothing has started then.
    """

    def __init__(
        self,
        document: Document,
        source: Source,
        output: Output,
        workflow: str | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        resume: bool = False,
        retry_failed: bool = False,
    ) -> None:
        self._source = source
        self._output = output
        self._resume = resume or retry_failed
        self._retry_failed = retry_failed
        self._stopping = threading.Event()
        output.check(source)
        orders = RowOrders(document, workflow, seed=seed, parameters=parameters)
        given = {key: value for key, value in (parameters or {}).items() if key != "seed"}
        name = document.workflow(workflow).id
        self._task = Task(document, name, given, orders.seed, orders.seed_given)
        self.standing: Standing | None = None

    def stop(self) -> None:
        """Ask it to stop; from any thread."""
        self._stopping.set()

    def run(self, engine: Engine, watch: Watch | None = None) -> Standing:
        """Compute what is to be computed, and write the output when all of it is done.

        Parameters
        ----------
        engine : Engine
            Computes; another one than before, and with other settings, when it goes on, if that is wanted.
        watch : Watch, optional
            Who looks on.

        Returns
        -------
        Standing
            Fewer rows are finished than there are when it was stopped.

        Raises
        ------
        InvalidInputError
            With everything that is wrong with the rows; or when what is there belongs to another job.
        McnbError
            What no row can be blamed for; what is done is kept.
        """
        watch = watch or Watch()
        path = journal_path(self._output.path)
        if not path.exists() and self._resume and self._output.exists(self._source):
            watch.tell(f"{self._output.path} is complete; there is nothing to do")
            return Standing(0)
        if path.exists() and path.stat().st_size and not self._resume:
            raise InvalidInputError(
                f"{self._output.path} was begun already, and its journal is there",
                hint=f"--resume goes on; to begin anew, remove {path}",
            )
        journal = Journal(path, retry_failed=self._retry_failed)
        try:
            return self._run(engine, watch, journal)
        except BaseException as error:
            if not journal.header or (isinstance(error, McnbError) and not journal.finished and not journal.sessions):
                journal.remove()  # nothing has begun, or no row could be computed at all
            raise
        finally:
            journal.close()

    def _run(self, engine: Engine, watch: Watch, journal: Journal) -> Standing:
        checked = self._checked(watch, journal)
        journal.note(session=journal.sessions + 1, engine=engine.name, versions=versions())
        standing = self.standing = Standing(checked.rows, journal.finished, journal.failed)
        watch.progress(standing)
        if standing.finished < checked.rows:
            self._compute(engine, watch, journal, Items(self._source, checked.rows, journal), standing)
        if standing.finished == checked.rows:
            journal.press()
            self._output.write(self._source, checked, journal)
            if not journal.failed:
                journal.remove()
        return standing

    def _compute(self, engine: Engine, watch: Watch, journal: Journal, items: Items, standing: Standing) -> None:
        trouble = Trouble(before=journal.finished - journal.failed)

        def tell(sentence: str) -> None:
            journal.note(told=sentence)
            watch.tell(sentence)

        results = engine.results(self._task, items, self._stopping, tell, journal.sessions + 1)
        try:
            for found in results:
                fresh = journal.add(trouble.sifted(found))
                if fresh:
                    standing.note(fresh)
                watch.progress(standing)
            fresh = journal.add(trouble.rest())
            standing.note(fresh)
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
            items.close()

    def _checked(self, watch: Watch, journal: Journal) -> Checked:
        """Check all rows and begin the journal; or make sure that it is that of this job, whose rows were checked."""
        about = {
            "document": describe_document(self._task.document),
            "workflow": self._task.workflow,
            "parameters": dict(self._task.parameters),
            "input": self._source.digest(),
            "key": self._source.key,
            "keep": list(self._source.keep),
            "drop": list(self._source.drop),
        }
        if journal.header:
            self._take_up(about, journal)
            parts = tuple((name, count) for name, count in journal.header["parts"])
            return Checked(parts, tuple(journal.header["columns"]))
        checked = self._source.check(watch.checking)
        journal.begin(
            {
                **about,
                "seed": self._task.seed,
                "seed_given": self._task.seed_given,
                "parts": [list(part) for part in checked.parts],
                "columns": list(checked.columns),
            }
        )
        return checked

    def _take_up(self, about: Mapping[str, Any], journal: Journal) -> None:
        """Go on with the seed of the job, when it is the same."""
        header = journal.header
        words = {"input": "the input", "document": "the document", "key": "--key", "keep": "--keep", "drop": "--drop"}
        differing = [
            words.get(name, f"the {name}")
            for name, value in about.items()
            if (value["digest"] if name == "document" else value)
            != (header[name]["digest"] if name == "document" else header[name])
        ]
        if self._task.seed_given and (not header["seed_given"] or header["seed"] != self._task.seed):
            differing.append("the seed")
        if differing:
            raise InvalidInputError(
                f"{journal.path} is of another job: {', '.join(differing)} {'is' if len(differing) == 1 else 'are'} "
                "not the same",
                hint="give the output another name, or remove the journal to begin anew",
            )
        task = self._task
        self._task = Task(task.document, task.workflow, task.parameters, header["seed"], header["seed_given"])
