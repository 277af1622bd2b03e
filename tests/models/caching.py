"""Short ways to ask a cache for models."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mcnb.models.cache import Lease, ModelCache, ModelSpec, Ready
from mcnb.models.control import Control
from mcnb.models.drivers import huggingface
from mcnb.models.progress import no_report

from .calls import Gate

PATIENCE = 60


class SlowLoad:
    """Loading that stands at a gate before it begins."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.controls: list[Control] = []
        self.load = huggingface.load

    def __call__(self, snapshot: Any, placement: Any, *, control: Control, report: Any, adapt: Any) -> Any:
        self.controls.append(control)
        self.gate.wait()
        return self.load(snapshot, placement, control=control, report=report, adapt=adapt)


def ready(cache: ModelCache, wanted: ModelSpec) -> Ready:
    return cache.acquire(wanted, no_report).future.result(PATIENCE)


def lease(cache: ModelCache, wanted: ModelSpec) -> Lease:
    found = cache.lease(ready(cache, wanted))
    assert found is not None
    return found


def at_once(count: int, call: Callable[[], Any]) -> list[Any]:
    """Call from many threads at the same moment."""
    start, results = threading.Barrier(count), []

    def one() -> None:
        start.wait(PATIENCE)
        results.append(call())

    threads = [threading.Thread(target=one) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(results) == count
    return results


def own_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("mcnb-")]


def landed() -> None:
    """Wait until every thread that loads has ended."""
    for thread in threading.enumerate():
        if thread.name == "mcnb-load":
            thread.join(PATIENCE)
