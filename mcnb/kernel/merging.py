"""Pieces of text that follow each other, as one event: a token for each message would cost more than the token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mcnb.runtime.events import Event


def merged(events: Iterable[Event]) -> list[dict[str, Any]]:
    """Return events as they are sent, without numbers.

    Parameters
    ----------
    events : iterable of Event
        In order.

    Returns
    -------
    list of dict
        ``type, time`` and the data; consecutive tokens of one job and item are one event, with the text of all and the
        count and time of the last.
    """
    made: list[dict[str, Any]] = []
    source: tuple[Any, ...] | None = None
    pieces: list[str] = []
    for event in events:
        data = event.data
        here = (data["job"], data["item"], data["streamed"]) if event.type == "token" else None
        if here is not None and here == source:
            pieces.append(data["text"])
            made[-1].update(tokens=data["tokens"], time=event.time)
            continue
        if source is not None:
            made[-1]["text"] = "".join(pieces)
        source = here
        pieces = [] if here is None else [data["text"]]
        made.append({"type": event.type, "time": event.time, **data})
    if source is not None:
        made[-1]["text"] = "".join(pieces)
    return made
