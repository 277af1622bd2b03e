"""Events: numbered facts about a run. The log of a run is append-only and ends with its terminal state."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mcnb.runtime.changes import Changes

EventType: TypeAlias = Literal["state", "job", "download", "convert", "load", "prompt", "token", "output"]


@dataclass(frozen=True, slots=True)
class Event:
    """One fact about a run.

    Attributes
    ----------
    id : int
        1, 2, 3...: without gaps within a run.
    type : str
        ``state`` (``state``, ``error``; when interrupted also the fields of the ``Interruption``), ``job`` (``job``,
        ``state``: ``processing, waiting, completed, failed, cancelled, skipped``; where they mean something ``item``,
        ``items``, ``attempt``, ``attempts``, ``seconds`` to wait, ``to``: the job it leads to, and the ``error`` that
        it goes on from), ``download``, ``convert`` and ``load`` (``what``, ``done``, ``total``,
        ``unit``), ``prompt`` (``job``, ``item``, ``tokens`` of the prompt, ``budget``: how many may follow; before the
        prompt is processed), ``token`` (``job``, ``item``, ``text``, ``tokens``, ``streamed``: whether the text is a
        piece of the run's own text), ``output`` (``output``).
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


class EventLog(Changes):
    """The events of one run, for any number of readers in any thread."""

    def __init__(self) -> None:
        super().__init__("a run's events")
        self._events: list[Event] = []
        self._closed = False

    def add(self, kind: EventType, data: dict[str, Any], *, last: bool = False) -> None:
        """Add an event; after the last one nothing is added any more. Call ``tell`` when no lock is held."""
        with self.lock:
            if self._closed:
                return
            self._events.append(Event(len(self._events) + 1, kind, data))
            self._closed = last
            self.lock.notify_all()

    def take(self, event: Event, *, last: bool = False) -> None:
        """Add an event of another log, with its own time and the number that is next here; otherwise as ``add``."""
        with self.lock:
            if self._closed or event.id != len(self._events) + 1:
                return
            self._events.append(event)
            self._closed = last
            self.lock.notify_all()

    @property
    def closed(self) -> bool:
        """Whether the last event is there."""
        return self._closed

    def after(self, number: int) -> list[Event]:
        """Return the events that came after the one with a number."""
        with self.lock:
            return self._events[number:]

    def wait(self, number: int, timeout: float | None = None) -> bool:
        """Wait until there is an event after the one with a number, or the log is closed.

        Returns
        -------
        bool
            False when the timeout passed first.
        """
        return self.wait_until(lambda: len(self._events) > number or self._closed, timeout)

    def wait_closed(self, timeout: float | None = None) -> bool:
        """Wait for the last event; return False when the timeout passed first."""
        return self.wait_until(lambda: self._closed, timeout)

    def follow(self, after: int = 0) -> Iterator[Event]:
        """Yield the events after a number, waiting for new ones, to the last one."""
        while True:
            self.wait(after)
            new = self.after(after)
            yield from new
            after += len(new)
            if self._closed and not self.after(after):
                return
