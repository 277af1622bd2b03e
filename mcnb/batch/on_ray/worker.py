"""An actor of the pool: one process with its models, loaded once, that computes pieces of the input."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from mcnb.batch.on_ray.feeding import LostError, unpacked
from mcnb.batch.task import Task


class Worker:
    """Computes pieces.

    Parameters
    ----------
    task : Task
        What to compute.
    width : int
        Rows of a piece under way at a time.
    session : int
        Of the job.
    with_record : bool
        As of a Computer.
    feeder : actor
        Says when the job stops; a job whose process is gone has stopped, too.
    """

    def __init__(self, task: Task, width: int, session: int, with_record: bool, feeder: Any) -> None:
        import ray

        from mcnb.batch.computing import Computer
        from mcnb.runtime import default_runtime

        name = f"{session}-{ray.get_runtime_context().get_actor_id()[:12]}"
        self._computer = Computer(task, default_runtime(), worker=name, width=width, with_record=with_record)
        self._stopping = threading.Event()
        self._lost = False
        self._over = feeder.over.remote().future()  # a thread that waited for it would give its CPU back
        self._over.add_done_callback(self._stop)

    def _stop(self, over: Future[None]) -> None:
        self._lost = over.exception() is not None
        self._stopping.set()

    def __call__(self, block: Any) -> Iterator[Any]:
        """Compute the pieces of a block, and yield what came of each."""
        import pyarrow

        for data in block.column("items"):
            results = list(self._computer.results(unpacked(data.as_py()), self._stopping))
            if self._lost:  # else these rows were missing, and nobody would know
                raise LostError("a worker cannot reach the process of the job")
            yield pyarrow.table({"results": [json.dumps(results)]})
