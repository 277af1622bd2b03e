"""Pieces of text as one event."""

from __future__ import annotations

import itertools
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcnb.kernel.merging import merged
from mcnb.runtime import Event


def token(text: str, tokens: int, *, job: str = "j", item: int = 0, streamed: bool = True) -> dict[str, Any]:
    return {"job": job, "item": item, "text": text, "tokens": tokens, "streamed": streamed}


def test_consecutive_tokens_are_one_event() -> None:
    events = [
        Event(2, "state", {"state": "processing"}, 1.0),
        Event(3, "token", token("a", 1), 2.0),
        Event(4, "token", token("b", 2), 3.0),
        Event(5, "token", token("c", 1, item=1), 4.0),
        Event(6, "job", {"job": "j", "state": "completed"}, 5.0),
        Event(7, "token", token("d", 2, item=1), 6.0),
    ]
    assert merged(events) == [
        {"type": "state", "time": 1.0, "state": "processing"},
        {"type": "token", "time": 3.0, **token("ab", 2)},
        {"type": "token", "time": 4.0, **token("c", 1, item=1)},
        {"type": "job", "time": 5.0, "job": "j", "state": "completed"},
        {"type": "token", "time": 6.0, **token("d", 2, item=1)},
    ]
    assert events[1].data["text"] == "a", "the run's own events stay as they are"


@given(st.lists(st.tuples(st.text(max_size=3), st.integers(0, 1), st.booleans())))
def test_every_text_stays_whole_and_in_order(pieces: list[tuple[str, int, bool]]) -> None:
    events = [
        Event(n, "token", token(text, n, item=item, streamed=streamed), float(n))
        for n, (text, item, streamed) in enumerate(pieces, start=2)
    ]
    found = merged(events)
    for key in {(item, streamed) for _, item, streamed in pieces}:
        sent = "".join(event["text"] for event in found if (event["item"], event["streamed"]) == key)
        assert sent == "".join(text for text, *where in pieces if tuple(where) == key)
    assert all(
        (one["item"], one["streamed"]) != (next_one["item"], next_one["streamed"])
        for one, next_one in itertools.pairwise(found)
    )
