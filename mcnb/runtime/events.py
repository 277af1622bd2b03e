"""Events: numbered facts about a run. The log of a run is append-only and ends with its terminal state."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

_TURN = 0.5
"""Seconds."""

EventType: TypeAlias = Literal["state", "job", "download", "convert", "load", "token", "output"]


@dataclass(frozen=True, slots=True)
class Event:
    """One fact about a run.

    Attributes
    ----------
    id : int
        1, 2, 3...: without gaps within a run.
    type : str
        ``state`` (``state``, ``error``), ``job`` (``job``, ``state``, ``item``, ``items``), ``download``, ``convert``
        and ``load`` (``what``, ``done``, ``total``, ``unit``), ``token`` (``job``, ``item``, ``text``, ``tokens``,
        ``streamed``: whether the text is a piece of the run's own text), ``output`` (``output``).
    data : dict
        The fields named above.
    time : float
        Seconds since 1970.
    """

    id: int
    type: EventType
    data: dict[str, Any]
    time: float = field(default_factory=time.time)

    def to_dict(self) -> dict[str, Any]:
        """Return the event as JSON data."""
        return {"id": self.id, "type": self.type, "time": self.time, **self.data}


class EventLog:
    """The events of one run, for any number of readers in any thread."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._changed = threading.Condition()
        self._closed = False
        self._listeners: list[Callable[[], None]] = []

    def add(self, kind: EventType, data: dict[str, Any], *, last: bool = False) -> None:
        """Add an event; after the last one nothing is added any more. Call ``tell`` when no lock is held."""
        with self._changed:
            if self._closed:
                return
            self._events.append(Event(len(self._events) + 1, kind, data))
            self._closed = last
            self._changed.notify_all()

    def tell(self) -> None:
        """Call the listeners. One that raises is not called again: a run does not end with those who watch it."""
        with self._changed:
            listeners = list(self._listeners)
        for listener in listeners:
            try:
                listener()
            except Exception:
                self._forget(listener)
                logging.getLogger(__name__).exception("a listener to a run's events failed")

    @property
    def closed(self) -> bool:
        """Whether the last event is there."""
        return self._closed

    def after(self, number: int) -> list[Event]:
        """Return the events that came after the one with a number."""
        with self._changed:
            return self._events[number:]

    def wait(self, number: int, timeout: float | None = None) -> bool:
        """Wait until there is an event after the one with a number, or the log is closed.

        Returns
        -------
        bool
            False when the timeout passed first.
        """
        return self._wait_for(lambda: len(self._events) > number or self._closed, timeout)

    def _wait_for(self, predicate: Callable[[], bool], timeout: float | None) -> bool:
        """Wait in short turns: on some systems a thread that waits without a limit cannot be interrupted."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            left = _TURN if end is None else min(_TURN, end - time.monotonic())
            with self._changed:
                if self._changed.wait_for(predicate, max(0.0, left)):
                    return True
            if end is not None and time.monotonic() >= end:
                return False

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait for the last event; return False when the timeout passed first."""
        return self._wait_for(lambda: self._closed, timeout)

    def follow(self, after: int = 0) -> Iterator[Event]:
        """Yield the events after a number, waiting for new ones, to the last one."""
        while True:
            self.wait(after)
            new = self.after(after)
            yield from new
            after += len(new)
            if self._closed and not self.after(after):
                return

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every event, from whatever thread adds it; return how to stop that."""
        with self._changed:
            self._listeners.append(listener)
        return lambda: self._forget(listener)

    def _forget(self, listener: Callable[[], None]) -> None:
        with self._changed:
            if listener in self._listeners:
                self._listeners.remove(listener)
