"""Where a pipeline runs: in this process, or in an actor of the cluster."""

from __future__ import annotations

import contextlib
import threading
from typing import Any

from mcnb.batch.computing import Result
from mcnb.batch.on_ray.pipeline import Pipeline

_LONGEST = 10.0
"""Seconds that a pipeline gets to end: workers end a step of their models first."""


def on_this_node(ray: Any) -> dict[str, Any]:
    """Return how an actor is kept on the node that this process is connected to: it is lost with that one alone."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    node = ray.get_runtime_context().get_node_id()
    return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node_id=node, soft=True)}


class Here:
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
        """End it, whatever it is at."""
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


class Away:
    """A pipeline in an actor of the cluster: Ray Data does not work through Ray's client."""

    def __init__(self, ray: Any, arguments: tuple[Any, ...]) -> None:
        self._ray = ray
        self._actor = (
            ray.remote(Pipeline).options(num_cpus=0, max_concurrency=2, **on_this_node(ray)).remote(*arguments)
        )
        self._next: Any = None

    def next(self, seconds: float) -> list[Result] | None:
        """Return what came of some rows; nothing when it takes longer, None at the end."""
        if self._next is None:
            self._next = self._actor.next.remote()
        ready, _ = self._ray.wait([self._next], timeout=seconds)
        if not ready:
            return []
        found, self._next = self._next, None
        return self._ray.get(found)  # type: ignore[no-any-return]

    def close(self) -> None:
        """End it, and its actor with all that it started."""
        with contextlib.suppress(self._ray.exceptions.GetTimeoutError):
            self._ray.get(self._actor.close.remote(), timeout=_LONGEST)
        self._ray.kill(self._actor)
