"""One thread for a model whose generations take turns."""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable
from functools import cache

from mcnb.errors import InternalError, McnbError
from mcnb.models.request import Generation, full_queue

LAST_STEP = 2.0
"""Seconds that a generation has to stop in when Python leaves."""

_all: weakref.WeakSet[Turns] = weakref.WeakSet()


class Turns:
    """Computes one generation after the other, those first whose turn it is; the thread ends when there is none.

    Parameters
    ----------
    name : str
        The model.
    compute : callable
        Computes a generation, filling its result; called in the thread alone.
    """

    def __init__(self, name: str, compute: Callable[[Generation], None]) -> None:
        self._name = name
        self._compute = compute
        self._lock = threading.Lock()
        self._waiting: list[Generation] = []
        self._current: Generation | None = None
        self._thread: threading.Thread | None = None
        self._closed = False
        _all.add(self)
        _stop_at_exit()

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._waiting)

    def submit(self, generation: Generation) -> None:
        """Queue a generation; never blocks."""
        with self._lock:
            if self._closed:
                generation.settle(InternalError(f"{self._name} has left memory"))
            elif full := full_queue(self._name, len(self._waiting)):
                generation.settle(full)
            else:
                self._waiting.append(generation)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._serve, name=f"mcnb-model-{self._name}", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """End after what is queued; no more are taken."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            thread.join()

    def stop(self) -> None:
        """Cancel everything, and wait a little for it to stop: Python leaves."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            current, thread = self._current, self._thread
        if current is not None:
            current.control.cancel()
        if thread is not None:
            thread.join(LAST_STEP)

    def _serve(self) -> None:
        while (generation := self._next()) is not None:
            if not generation.begin():
                continue
            error: BaseException | None = None
            try:
                generation.control.check()
                self._compute(generation)
            except McnbError as failed:
                error = failed
            except BaseException as defect:  # whatever it is, the waiter must hear of it
                error = defect
            with self._lock:
                self._current = None
            generation.settle(error)
            del generation, error

    def _next(self) -> Generation | None:
        with self._lock:
            self._waiting = [one for one in self._waiting if not one.future.cancelled()]
            if not self._waiting:
                self._thread = None
                return None
            generation = min(self._waiting, key=lambda one: one.due)
            self._waiting.remove(generation)
            self._current = generation
            return generation


@cache
def _stop_at_exit() -> None:
    """Have everything stop when Python leaves: a library that still computes then would take the process down."""

    def stop() -> None:
        for turns in list(_all):
            turns.stop()

    atexit.register(stop)
