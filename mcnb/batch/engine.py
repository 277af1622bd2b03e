"""Engine: who computes the rows of a job."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Protocol, TypeAlias

from mcnb.batch.computing import Computer, Result
from mcnb.batch.items import Items
from mcnb.batch.task import Task
from mcnb.runtime import Runtime, default_runtime
from mcnb.runtime.batch import WINDOW

Tell: TypeAlias = Callable[[str], None]
"""Gets a sentence that whoever watches the job should know."""


class Engine(Protocol):
    """Who computes the rows of a job.

    Attributes
    ----------
    name : str
        ``local`` or ``ray``.
    """

    name: str

    def results(
        self, task: Task, items: Items, stopping: threading.Event, tell: Tell, session: int
    ) -> Iterator[list[Result]]:
        """Compute rows and yield what came of them, some at a time, in any order; a row may be told twice.

        Parameters
        ----------
        task : Task
            What to compute.
        items : Items
            For which rows.
        stopping : threading.Event
            When it is set, it ends soon: rows under way are cancelled, and nothing is told of them.
        tell : callable
            Gets what happened that is no row.
        session : int
            How often the job was begun or went on; part of what results call a worker.
        """


class Local:
    """The models of this process.

    Parameters
    ----------
    batch_size : int, optional
        Rows under way at a time.
    runtime : Runtime, optional
        By default the one of this process.
    """

    name = "local"

    def __init__(self, batch_size: int | None = None, runtime: Runtime | None = None) -> None:
        self.batch_size = batch_size or WINDOW
        self._runtime = default_runtime() if runtime is None else runtime

    def results(  # noqa: D102 - as of an Engine
        self, task: Task, items: Items, stopping: threading.Event, tell: Tell, session: int
    ) -> Iterator[list[Result]]:
        computer = Computer(task, self._runtime, worker=f"{session}-local", width=self.batch_size)
        for result in computer.results(items, stopping):
            yield [result]
