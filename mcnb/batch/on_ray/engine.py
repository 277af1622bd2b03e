"""OnRay: an engine whose rows are computed on a Ray cluster."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any

from mcnb.batch.computing import Result
from mcnb.batch.engine import Tell
from mcnb.batch.items import Pieces
from mcnb.batch.on_ray.cluster import Size, connected, imported, is_client, size
from mcnb.batch.on_ray.feeding import Feeder, Feeding
from mcnb.batch.on_ray.pipeline import Pipeline
from mcnb.batch.task import Task
from mcnb.errors import InternalError, McnbError
from mcnb.runtime.batch import WINDOW

TRIES = 3
"""Times that a pipeline is begun anew in which no row was done before it broke."""

_TURN = 0.2

_LOOKS = 2.0
"""Seconds between two looks at the cluster's machines."""

_LONGEST = 10.0
"""Seconds that a pipeline gets to end: workers end a step of their models first."""


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
        self._address = address
        self._workers = workers
        self._width = batch_size or WINDOW
        self._with_record = with_record

    def results(  # noqa: D102 - as of an Engine
        self, task: Task, items: Pieces, stopping: threading.Event, tell: Tell, session: int
    ) -> Iterator[list[Result]]:
        with connected(self._address, self._workers) as ray:
            chosen = size(ray.nodes(), self._workers, task.devices)
            nodes = _Nodes(ray, tell)
            tries = 0
            while pieces := items.cut(self._width):
                trying = self._tried(ray, task, items, pieces, chosen, session, stopping)
                try:
                    for found in trying:
                        if found:
                            tries = 0
                            yield found
                        nodes.look()
                    nodes.look(now=True)
                    return
                except ray.exceptions.RayError as error:
                    tries += 1
                    nodes.look(now=True)
                    _consider(ray, error, tries, tell)
                finally:
                    trying.close()
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
        feeder = ray.remote(Feeder).options(num_cpus=0, max_concurrency=1000, **_here(ray, self._address)).remote()
        feeding = Feeding(ray, feeder, items)
        arguments = (task, pieces, feeder, chosen, self._width, session, self._with_record)
        pipeline = _Away(ray, arguments) if is_client(self._address) else _Here(arguments)
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


class _Here:
    """A pipeline in this process, whose results are waited for in a thread: the wait itself cannot be interrupted."""

    def __init__(self, arguments: tuple[Any, ...]) -> None:
        self._arguments = arguments
        self._pipeline: Pipeline | None = None
        self._wish, self._there = threading.Semaphore(0), threading.Semaphore(0)
        self._found: list[Result] | None = None
        self._error: BaseException | None = None
        self._asked = self._over = False
        self._thread = threading.Thread(target=self._work, name="mcnb-ray", daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> list[Result] | None:
        """Return what came of some rows; nothing when it takes longer, None at the end."""
        if not self._asked:
            self._asked = True
            self._wish.release()
        if not self._there.acquire(timeout=seconds):
            return []
        self._asked = False
        if self._error is not None:
            raise self._error
        return self._found

    def close(self) -> None:
        self._over = True
        self._wish.release()
        self._thread.join(_LONGEST)
        if self._pipeline is not None:
            self._pipeline.close()

    def _work(self) -> None:
        while True:
            self._wish.acquire()
            if self._over:
                return
            try:
                if self._pipeline is None:
                    self._pipeline = Pipeline(*self._arguments)
                self._found = self._pipeline.next()
            except BaseException as error:  # raised again where it is waited for
                self._error = error
            self._there.release()


class _Away:
    """A pipeline in an actor of the cluster: Ray Data does not work through Ray's client."""

    def __init__(self, ray: Any, arguments: tuple[Any, ...]) -> None:
        self._ray = ray
        self._actor = ray.remote(Pipeline).options(num_cpus=0, max_concurrency=2).remote(*arguments)
        self._next: Any = None

    def next(self, seconds: float) -> list[Result] | None:
        if self._next is None:
            self._next = self._actor.next.remote()
        ready, _ = self._ray.wait([self._next], timeout=seconds)
        if not ready:
            return []
        found, self._next = self._next, None
        return self._ray.get(found)  # type: ignore[no-any-return]

    def close(self) -> None:
        with contextlib.suppress(self._ray.exceptions.GetTimeoutError):
            self._ray.get(self._actor.close.remote(), timeout=_LONGEST)
        self._ray.kill(self._actor)


class _Nodes:
    """Tells of machines that are gone."""

    def __init__(self, ray: Any, tell: Tell) -> None:
        self._ray = ray
        self._tell = tell
        self._alive = self._seen()
        self._looked = time.monotonic()

    def _seen(self) -> dict[str, str]:
        return {node["NodeID"]: node["NodeManagerHostname"] for node in self._ray.nodes() if node["Alive"]}

    def look(self, *, now: bool = False) -> None:
        """Tell of those that are gone since the last look, which is a while ago."""
        if not now and time.monotonic() - self._looked < _LOOKS:
            return
        self._looked = time.monotonic()
        seen = self._seen()
        for node in self._alive.keys() - seen.keys():
            self._tell(f"the machine {self._alive[node]} is gone; its rows are computed again elsewhere")
        self._alive = seen


def _here(ray: Any, address: str | None) -> dict[str, Any]:
    """Return how an actor is kept on the machine of the job's process, which is lost with it alone."""
    if is_client(address):
        return {}
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=node, soft=True)}


def _consider(ray: Any, error: Exception, tries: int, tell: Callable[[str], None]) -> None:
    """Go on after an error of the cluster, or raise what it means."""
    cause = getattr(error, "cause", None)
    said = str(cause or error).strip().splitlines() or [type(error).__name__]
    if isinstance(cause, McnbError):
        raise cause
    if isinstance(cause, ImportError):
        raise McnbError(
            f"a Ray worker cannot import what it needs ({said[-1]})", hint="install mcnb[ray] on every machine"
        ) from error
    if isinstance(error, ray.exceptions.RayTaskError):
        raise InternalError(f"a Ray worker failed ({said[-1]})") from error
    if tries >= TRIES:
        raise McnbError(
            f"the Ray cluster failed {tries} times without a row ({said[0]})", hint="what is done is kept: --resume"
        ) from error
    logging.getLogger(__name__).debug("the pipeline broke", exc_info=error)
    tell(f"the Ray cluster lost what it was at ({said[0]}); the rows that are not done are begun anew")
