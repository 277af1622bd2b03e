"""Runtime: takes runs and executes them; owns the loaded models of one process."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcnb.compose import Document, Environment, document_from_source
from mcnb.models.cache import ModelCache, shared_cache
from mcnb.models.loop_thread import LoopThread
from mcnb.models.parameters import check_parameters
from mcnb.models.progress import no_report
from mcnb.models.request import Priority
from mcnb.runtime.batch import WINDOW, Batch
from mcnb.runtime.batch_row import BatchRow
from mcnb.runtime.execution import execute
from mcnb.runtime.order import Order, make_order, with_seed
from mcnb.runtime.plan import Pin, preloaded
from mcnb.runtime.record import Record
from mcnb.runtime.redaction import without_blackened
from mcnb.runtime.row_orders import RowOrders
from mcnb.runtime.rows import Source, read_rows
from mcnb.runtime.run import Run
from mcnb.runtime.waiting import Sleep

HISTORY = 200
"""Runs that are kept for looking back."""


class Runtime:
    """Takes runs.

    All runs are coroutines of one event loop in a thread of its own; models are loaded in threads of their own and
    used by one owner thread each. ``submit`` never blocks.

    Parameters
    ----------
    cache : ModelCache, optional
        The loaded models; by default those of the process.
    sleep : callable, optional
        Lets seconds pass between the attempts of a job and in a delay; tests have their own.
    """

    def __init__(self, cache: ModelCache | None = None, *, sleep: Sleep = asyncio.sleep) -> None:
        self.cache = cache if cache is not None else shared_cache()
        self._sleep = sleep
        self._runs: deque[Run] = deque(maxlen=HISTORY)
        self._unlisted: weakref.WeakSet[Run] = weakref.WeakSet()
        self._batches: weakref.WeakSet[Batch] = weakref.WeakSet()
        self._loop = LoopThread("mcnb-runtime")
        self._lock = threading.Lock()

    @property
    def runs(self) -> tuple[Run, ...]:
        """The latest runs, the newest last."""
        with self._lock:
            return tuple(self._runs)

    def submit(
        self,
        document: Document,
        workflow: str | None = None,
        input: Mapping[str, Any] | None = None,
        *,
        seed: int | None = None,
        drawn_seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        timeout: float | None = None,
        run_id: str | None = None,
        keep: bool = True,
        max_output_tokens: int | None = None,
        priority: Priority = "interactive",
    ) -> Run:
        """Start a run and return it at once.

        Parameters
        ----------
        document : Document
            The loaded compose file.
        workflow : str, optional
            Which workflow; by default the default one.
        input : mapping, optional
            Its inputs.
        seed : int, optional
            For the same text again; drawn and recorded when not given.
        drawn_seed : int, optional
            The one that was drawn already, for want of a `seed`; one that the document says goes before it.
        parameters : mapping, optional
            Overrides of generation parameters for this run.
        timeout : float, optional
            Seconds from now after which the run is stopped and failed; while it is interrupted, none pass.
        run_id : str, optional
            The run's id, for callers that know it under one already.
        keep : bool
            Whether it is one of ``runs``.
        max_output_tokens : int, optional
            New tokens that each of its generations is allowed at most, whatever the document and `parameters` say.
        priority : str
            Which of the generations that wait for a model go first: ``interactive``, then ``api``, then ``bulk``.

        Returns
        -------
        Run

        Raises
        ------
        InvalidInputError
            When inputs are missing, unknown or of the wrong type, or a parameter is out of range.
        NotSupportedError
            When the workflow has parts that this version only validates.
        UnsupportedModelError
            When what runs models is not installed.
        """
        overrides, chosen = with_seed(parameters, seed, drawn_seed)
        order = make_order(
            document,
            workflow,
            input,
            overrides,
            chosen,
            timeout=timeout,
            run_id=run_id,
            max_output_tokens=max_output_tokens,
            priority=priority,
        )
        return self._take(order, keep=keep)

    def batch(
        self,
        document: Document,
        rows: Source,
        workflow: str | None = None,
        *,
        seed: int | None = None,
        parameters: Mapping[str, Any] | None = None,
        width: int = WINDOW,
    ) -> Batch:
        """Start a run for every row, a few at a time, and return at once.

        Parameters
        ----------
        document, workflow, parameters
            As in ``submit``.
        rows : path, list, pandas.Series or pandas.DataFrame
            As in ``Compose.batch``.
        seed : int, optional
            The rows' seeds are derived from it; drawn when not given.
        width : int
            Rows under way at a time.

        Raises
        ------
        InvalidInputError, NotSupportedError, UnsupportedModelError
            As ``submit``, for all rows together; before anything starts.
        """
        orders = RowOrders(document, workflow, seed=seed, parameters=parameters)
        values = read_rows(rows, orders.inputs)

        def start(row: BatchRow) -> Run:
            return self.start(orders.order(row.input, row.seed))

        made = Batch(values, orders.seed, orders.inputs.names, start, self._loop.schedule, width=width)
        with self._lock:
            self._batches.add(made)
        return made

    def repeat(self, record: Record, *, environment: Environment | None = None, timeout: float | None = None) -> Run:
        """Run a record again: the same document, input, answers, seed, model revision, device and dtype.

        Parameters
        ----------
        record : Record
            Of any run.
        environment : Environment, optional
            Where the document's ``${env.NAME}`` take their values from; a record holds none of them.
        timeout : float, optional
            As in ``submit``.

        Raises
        ------
        DocumentError
            When the document needs an environment value that is not set.
        InvalidInputError, NotSupportedError, UnsupportedModelError
            As ``submit``.
        """
        source = without_blackened(record.document["source"])
        document = document_from_source(source, Path(record.document["folder"]), environment)
        pins = {item.job: Pin(item.model["revision"], item.device, item.dtype, item.now) for item in record.generations}
        return self._take(
            make_order(
                document,
                record.workflow,
                record.input,
                check_parameters(record.parameters),
                record.seed,
                timeout=timeout,
                pins=pins,
                answers=tuple(record.answers),
                ways=tuple(record.ways),
                max_output_tokens=record.max_output_tokens,
            )
        )

    def _take(self, order: Order, *, keep: bool = True) -> Run:
        """Start a run, and keep it for looking back unless the caller does that."""
        run = Run(order.record())
        with self._lock:
            if keep:
                self._runs.append(run)
            else:
                self._unlisted.add(run)
        return self.start(order, run)

    def start(self, order: Order, run: Run | None = None) -> Run:
        """Start what was checked already; whoever does so ends it, too: ``close`` knows nothing of it."""
        run = Run(order.record()) if run is None else run
        self._loop.schedule(execute(run, order, self.cache, self._sleep))
        return run

    def preload(self, document: Document) -> None:
        """Begin to load the models of components that say ``preload: true``; never blocks.

        A model that cannot be loaded is told by the first run that needs it.
        """
        for spec in preloaded(document):
            self.cache.acquire(spec, no_report)

    def close(self) -> None:
        """Cancel what is not done, wait until it has stopped, and end the thread. Models stay in the cache."""
        with self._lock:
            batches = tuple(self._batches)
        for batch in batches:
            batch.cancel()
        for batch in batches:
            batch.wait()
        with self._lock:
            end_loop = self._loop.let_go()
            runs = (*self._runs, *self._unlisted)
        for run in runs:
            run.cancel()
        for run in runs:
            run.wait()
        end_loop()
