"""Waiting for other threads from the loop of the runs, and a job's hold on its model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from mcnb.errors import RunCancelledError
from mcnb.models.cache import Lease, ModelCache
from mcnb.models.control import Control
from mcnb.models.progress import Report
from mcnb.models.spec import ModelSpec

_T = TypeVar("_T")


async def finished(future: Future[_T], control: Control, stop: Callable[[], object]) -> _T:
    """Wait for work in another thread; when the run is stopped, tell that work and wait until it has ended.

    Parameters
    ----------
    future : Future
        Of the work.
    control : Control
        Of the run.
    stop : callable
        Tells the work.

    Raises
    ------
    RunCancelledError, RunTimeoutError
        Why the run was stopped.
    McnbError
        What the work failed with.
    """
    with control.calling(stop):
        try:
            return await asyncio.shield(asyncio.wrap_future(future))
        except (asyncio.CancelledError, RunCancelledError):
            control.check()  # the work only knows that it was stopped; the run knows why
            raise


class LeasedModel:
    """The model of a job: asked for at the first generation, given back at the end.

    Parameters
    ----------
    cache : ModelCache
        Where it comes from.
    spec : ModelSpec
        Which one.
    idle_timeout : float or None
        Seconds after which it leaves memory when nobody uses it.
    """

    def __init__(self, cache: ModelCache, spec: ModelSpec, idle_timeout: float | None) -> None:
        self._cache = cache
        self._spec = spec
        self._idle_timeout = idle_timeout
        self._lease: Lease | None = None
        self._told = False

    async def get(self, control: Control, report: Report) -> Lease:
        """Return the lease, waiting for the model when it is not in memory."""
        while self._lease is None:
            waiter = self._cache.acquire(self._spec, report)
            ready = await finished(waiter.future, control, waiter.leave)
            self._lease = self._cache.lease(ready)
        return self._lease

    def load_seconds(self) -> float:
        """Seconds of loading that the generation asking first had to wait for."""
        if self._lease is None or self._lease.hit or self._told:
            return 0.0
        self._told = True
        return self._lease.owner.description.load_seconds

    def release(self) -> None:
        """Give the model back."""
        if self._lease is not None:
            self._lease.release(self._idle_timeout)
