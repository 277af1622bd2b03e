"""The dataset of a job: the input's pieces, read as Ray asks for them and computed by a pool of actors."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

from mcnb.batch.computing import Result
from mcnb.batch.on_ray.cluster import Size
from mcnb.batch.on_ray.worker import Worker
from mcnb.batch.task import Task

AHEAD = 2
"""Pieces that wait at each worker."""


class Pipeline:
    """Computes pieces and gives the results, some at a time.

    It lives in the job's process, or, for one that is no part of the cluster, in an actor.

    Parameters
    ----------
    task : Task
        What to compute.
    pieces : list of int
        The numbers of the pieces.
    feeder : actor
        Has them.
    size : Size
        Of the pool.
    width, session, with_record
        As of a Worker.
    """

    def __init__(
        self,
        task: Task,
        pieces: list[int],
        feeder: Any,
        size: Size,
        width: int,
        session: int,
        with_record: bool,
    ) -> None:
        import ray.data
        from ray.data import ActorPoolStrategy

        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are raised, too, and most are got over
        read = ray.data.read_datasource(
            _pieces(feeder, pieces),
            num_cpus=0,  # they wait for the job's process, and must not wait for actors that take every CPU
            concurrency=min(size.workers + 1, len(pieces)),
            override_num_blocks=len(pieces),
        )
        pool = ActorPoolStrategy(
            size=size.workers,
            max_tasks_in_flight_per_actor=2 * AHEAD,
            max_concurrent_calls_per_actor=AHEAD,  # the end of one piece is computed with the beginning of the next
            enable_true_multi_threading=True,
        )
        computed = read.map_batches(
            Worker,
            fn_constructor_args=(task, width, session, with_record, feeder),
            compute=pool,
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=size.cpus,
            num_gpus=size.gpus or None,
        )
        context = computed.context  # of this dataset alone
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.execution_no_progress_timeout_s = -1  # a model may take long to come, and a row to end
        self._blocks: Iterator[Any] = iter(computed.iter_batches(batch_size=None, batch_format="pyarrow"))

    def next(self) -> list[Result] | None:
        """Return what came of some rows; None at the end."""
        block = next(self._blocks, None)
        if block is None:
            return None
        return [result for data in block.column("results") for result in json.loads(data.as_py())]

    def close(self) -> None:
        """End the actors, whatever they are at."""
        close = getattr(self._blocks, "close", None)
        if close is not None:
            close()


def _pieces(feeder: Any, pieces: list[int]) -> Any:
    """Return the datasource; its class is made here, since Ray is not imported before."""
    import pyarrow
    from ray.data import Datasource
    from ray.data.block import BlockMetadata
    from ray.data.datasource import ReadTask

    def reader(piece: int) -> Callable[[], list[Any]]:
        def read() -> list[Any]:
            import ray

            return [pyarrow.table({"items": [ray.get(feeder.ask.remote(piece))]})]

        return read

    class Pieces(Datasource):  # type: ignore[misc]
        def get_name(self) -> str:
            return "Rows"

        def estimate_inmemory_data_size(self) -> int | None:
            return None

        def get_read_tasks(self, parallelism: int, *args: Any, **more: Any) -> list[Any]:
            metadata = BlockMetadata(num_rows=1, size_bytes=None, exec_stats=None, input_files=None)
            return [ReadTask(reader(piece), metadata) for piece in pieces]

    return Pieces()
