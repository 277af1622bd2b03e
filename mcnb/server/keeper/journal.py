"""Journal: a run's events on their way into the store, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from mcnb.errors import ConflictError, NotFoundError, ServerStoppingError
from mcnb.server.keeper.live import LiveRun
from mcnb.server.store import Finish, RunStore

PROGRESS = ("download", "convert", "load")
"""Events of which the last one says all that those before it said."""

ENVELOPE = ("id", "type", "time")
"""What every event has; the rest is its data."""

_Event = dict[str, Any]


@dataclass
class _Piled:
    """What waits to be written."""

    events: list[_Event] = field(default_factory=list)
    state: str | None = None
    started: float | None = None
    finish: Finish | None = None

    def __bool__(self) -> bool:
        return bool(self.events) or self.finish is not None


class Journal:
    """Writes what happens to one run, in order, one write at a time.

    What piles up while a write is under way is merged: pieces of one text become one piece, and of progress the last
    word stays. So however long the disk is full, no more is kept than the run's text. Readers are told of nothing
    before it is stored.

    Parameters
    ----------
    store : RunStore
        Where to.
    live : LiveRun
        Told of what is stored.

    Attributes
    ----------
    on_overtaken : callable
        Called when the store says that somebody else has finished the run.
    """

    def __init__(self, store: RunStore, live: LiveRun) -> None:
        self._store = store
        self._live = live
        self.on_overtaken: Callable[[], None] = lambda: None
        self._piled = _Piled()
        self._writing: asyncio.Task[None] | None = None

    def add(self, events: Iterable[_Event], *, state: str | None = None, started: float | None = None) -> None:
        """Write some events, and the state that the run is in after them."""
        pile(self._piled.events, events)
        self._piled.state = state or self._piled.state
        self._piled.started = self._piled.started or started
        self._begin()

    def finish(self, events: Iterable[_Event], finish: Finish, *, started: float | None = None) -> None:
        """Write the last events and how the run ended."""
        pile(self._piled.events, events)
        self._piled.finish = finish
        self._piled.started = self._piled.started or started
        self._begin()

    def give_up(self) -> None:
        """Stop waiting for the store: the server ends."""
        if self._writing is not None:
            self._writing.cancel()

    def _begin(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write(), name=f"mcnb-journal-{self._live.id}")

    async def _write(self) -> None:
        try:
            while self._piled:
                piled, self._piled = self._piled, _Piled()
                stored = await self._store.append(
                    self._live.id,
                    piled.events,
                    state=None if piled.finish is not None else piled.state,
                    started=piled.started,
                    finish=piled.finish,
                )
                self._show(piled, stored)
        except (ConflictError, NotFoundError):  # somebody else finished it, and maybe deleted it then
            self.on_overtaken()
            await self._overtaken()
        except ServerStoppingError:
            self._live.close()
        except Exception:
            logging.getLogger(__name__).exception("what happened to run %s could not be stored", self._live.id)
            self._live.close()
        finally:
            self._writing = None

    def _show(self, piled: _Piled, stored: list[_Event]) -> None:
        row = self._live.row
        if stored:
            row = replace(row, events=stored[-1]["id"])
        if piled.started is not None:
            row = replace(row, started=piled.started)
        if piled.state is not None:
            row = replace(row, state=piled.state, interruption=interruption_in(stored, piled.state))
        if (end := piled.finish) is not None:
            row = replace(
                row,
                state=end.state,
                output=end.output,
                error=end.error,
                record=end.record,
                finished=end.finished,
                interruption=None,
            )
        self._live.show(row, stored)

    async def _overtaken(self) -> None:
        try:
            self._live.overtaken(await self._store.get(self._live.id))
        except NotFoundError:
            pass
        finally:
            self._live.close()


def interruption_in(events: list[_Event], state: str) -> dict[str, Any] | None:
    """Return what the last interruption asks, when that is the state."""
    if state != "interrupted":
        return None
    for event in reversed(events):
        if event["type"] == "state" and event["state"] == "interrupted":
            return {name: value for name, value in event.items() if name not in ENVELOPE}
    return None


def pile(events: list[_Event], more: Iterable[_Event]) -> None:
    """Add events to those that wait, merged where nothing is lost by it."""
    for event in more:
        last = events[-1] if events else None
        if last is not None and _continues(event, last):
            events[-1] = {**event, "text": last["text"] + event["text"]} if event["type"] == "token" else event
        else:
            events.append(event)


def _continues(event: _Event, last: _Event) -> bool:
    if event["type"] != last["type"]:
        return False
    if event["type"] == "token":
        return all(event.get(name) == last.get(name) for name in ("job", "item", "streamed"))
    return event["type"] in PROGRESS and all(event.get(name) == last.get(name) for name in ("job", "what"))
