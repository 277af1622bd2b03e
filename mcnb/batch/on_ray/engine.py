"""OnRay: an engine whose rows are computed on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Generator, Iterator
from typing import Any

from mcnb.batch.computing import Result
from mcnb.batch.engine import Tell
from mcnb.batch.items import Pieces
from mcnb.batch.on_ray.cluster import Size, size
from mcnb.batch.on_ray.connection import call, connected, imported, is_far
from mcnb.batch.on_ray.feeding import Feeder, Feeding, LostError
from mcnb.batch.on_ray.machines import Machines
from mcnb.batch.on_ray.places import Away, Here, on_this_node
from mcnb.batch.task import Task
from mcnb.errors import InternalError, McnbError
from mcnb.runtime.batch import WINDOW

TRIES = 3
"""Times that a pipeline is begun anew in which no row was done before it broke."""

_TURN = 0.2

_PAUSE = 8.0
"""Seconds before another one of them, at most: what broke it may still be under way."""


class OnRay:
    """Ray Data, with one model for each of the pool's actors.

    Parameters
    ----------
    address : str, optional
        Of a cluster: ``auto``, ``ray://host:port``. By default one of this machine's own, which ends with the job.
    workers : int, optional
        Actors; by default one for each GPU that is used, or else for each machine.
    batch_size : int, optional
        Rows that an actor's model computes together.
    with_record : bool
        As of a Computer.

    Raises
    ------
    NotSupportedError
        Where Ray is not installed.
    InvalidInputError, McnbError
        When the address is none, or nobody listens there.
    """

    name = "ray"

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        batch_size: int | None = None,
        with_record: bool = False,
    ) -> None:
        imported()
        if address is not None:
            call(address)
        self._address = address
        self._workers = workers
        self._width = batch_size or WINDOW
        self._with_record = with_record

    def results(  # noqa: D102 - as of an Engine
        self, task: Task, items: Pieces, stopping: threading.Event, tell: Tell, session: int
    ) -> Iterator[list[Result]]:
        with connected(self._address, self._workers) as ray:
            far = is_far(ray)
            chosen = size(ray.nodes(), self._workers, task.devices)
            machines = Machines(ray, tell, near=not far)
            tries = 0
            while pieces := items.cut(self._width):
                trying = self._tried(ray, task, items, pieces, chosen, session, stopping)
                try:
                    for found in trying:
                        if found:
                            tries = 0
                            yield found
                        machines.look()
                    machines.look(now=True)
                    return
                except ray.exceptions.RayError as error:
                    tries += 1
                    machines.look(now=True)
                    _consider(ray, error, tries, tell)
                except ConnectionError as error:
                    if not far:
                        raise
                    raise McnbError(
                        "the connection to the Ray cluster is lost", hint="what is done is kept: --resume"
                    ) from error
                finally:
                    trying.close()
                stopping.wait(min(_PAUSE, 2.0**tries))
                chosen = size(ray.nodes(), self._workers, task.devices, at_most=True)

    def _tried(
        self,
        ray: Any,
        task: Task,
        items: Pieces,
        pieces: list[int],
        chosen: Size,
        session: int,
        stopping: threading.Event,
    ) -> Generator[list[Result], None, None]:
        """Compute pieces with a pipeline of their own; nothing comes of it, now and then, while they take long."""
        feeder = ray.remote(Feeder).options(num_cpus=0, max_concurrency=1000, **on_this_node(ray)).remote()
        feeding = Feeding(ray, feeder, items)
        arguments = (task, pieces, feeder, chosen, self._width, session, self._with_record)
        pipeline = Away(ray, arguments) if is_far(ray) else Here(arguments)
        try:
            while not stopping.is_set():
                found = pipeline.next(_TURN)
                if found is None:
                    break
                yield found
                if feeding.error is not None:
                    raise feeding.error
        finally:
            feeding.stop()
            with contextlib.suppress(Exception):  # whatever a pipeline says that is being ended
                pipeline.close()
            feeding.close()


def _consider(ray: Any, error: Exception, tries: int, tell: Callable[[str], None]) -> None:
    """Go on after an error of the cluster, or raise what it means."""
    cause: BaseException = error
    while (inner := getattr(cause, "cause", None)) is not None:  # of a task of a task
        cause = inner
    said = str(cause).strip().splitlines() or [type(cause).__name__]
    if isinstance(cause, McnbError):
        raise cause
    if isinstance(cause, ImportError):
        raise McnbError(
            f"a Ray worker cannot import what it needs ({said[-1]})", hint="install mcnb[ray] on every machine"
        ) from error
    if not isinstance(cause, (ray.exceptions.RayError, LostError)):
        raise InternalError(f"a Ray worker failed ({said[-1]})") from error
    if tries >= TRIES:
        raise McnbError(
            f"the Ray cluster failed {tries} times without a row ({said[0]})", hint="what is done is kept: --resume"
        ) from error
    logging.getLogger(__name__).debug("the pipeline broke", exc_info=error)
    tell(f"the Ray cluster lost what it was at ({said[0]}); the rows that are not done are begun anew")
