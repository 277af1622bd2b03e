"""One run's messages: in order, nothing twice, nothing lost, whatever happens to them on the way."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcnb.errors import InvalidInputError, KernelDiedError
from mcnb.server.kernels.followed import HURRY, SILENCE, FollowedRun
from mcnb.server.kernels.patience import LONGEST, Patience

FINISHED = {"state": "completed", "output": "text", "error": None, "record": {"seed": 7}}


class Told:
    """A listener without an event loop."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.ends: list[Any] = []

    def on_events(self, events: list[Any]) -> None:
        assert not self.ends
        assert events
        self.events += events

    def on_finished(self, events: list[Any], *ended: Any) -> None:
        self.events += events
        self.ends.append(ended)

    def on_refused(self, error: Any) -> None:
        self.ends.append(error)

    def on_died(self, error: Any) -> None:
        self.ends.append(error)


class Order:
    id = "r1"


def followed() -> tuple[FollowedRun, Told]:
    told = Told()
    return FollowedRun(Order(), told, 0.0), told  # type: ignore[arg-type]


def message(after: int, upto: int, *, last: int = 0) -> dict[str, Any]:
    made = {"id": "r1", "after": after, "upto": upto, "events": list(range(after + 1, upto + 1))}
    return {**made, "finished": FINISHED} if upto == last else made


@given(st.data(), st.integers(2, 30), st.randoms(use_true_random=False))
def test_whatever_is_lost_repeated_or_late_the_events_are_whole(
    data: st.DataObject, last: int, chance: random.Random
) -> None:
    """A kernel that sends again on request, over a channel that loses, repeats and swaps."""
    run, told = followed()
    sent = 1
    on_the_way: list[dict[str, Any]] = []
    now = 0.0
    over = False
    for _ in range(2000):
        now += chance.random()
        if chance.random() < 0.5 and sent < last:
            upto = chance.randint(sent + 1, last)
            on_the_way.append(message(sent, upto, last=last))
            sent = upto
        if run.wants_more(now):
            sent = run.last
            upto = chance.randint(sent, last)
            on_the_way.append(message(sent, upto, last=last))
            sent = upto
        if on_the_way:
            arrived = on_the_way.pop(chance.randrange(min(3, len(on_the_way))))
            if chance.random() < 0.1:
                on_the_way.append(arrived)
            if chance.random() < 0.6 and run.take(arrived, now):
                over = True
                break
    assert over
    assert told.events == list(range(2, last + 1))
    assert told.ends == [("completed", "text", None, {"seed": 7})]


def test_a_gap_is_asked_for_at_once_and_not_with_every_message() -> None:
    run, told = followed()
    assert not run.take(message(1, 3), 10.0)
    assert not run.wants_more(10.0)
    assert not run.take(message(5, 6), 10.0)
    assert run.wants_more(10.0)
    assert not run.take(message(6, 7), 10.1)
    assert not run.wants_more(10.1)
    assert run.wants_more(10.0 + HURRY)
    assert not run.take(message(3, 7), 10.6)
    assert not run.wants_more(11.5)
    assert told.events == [2, 3, 4, 5, 6, 7]


def test_the_end_that_comes_before_the_rest_waits_for_it() -> None:
    run, told = followed()
    assert not run.take(message(4, 6, last=6), 0.0)
    assert told.ends == []
    assert run.wants_more(0.0)
    assert run.take(message(1, 6, last=6), 0.1)
    assert told.events == [2, 3, 4, 5, 6]


def test_silence_is_broken_after_a_while() -> None:
    run, _ = followed()
    assert not run.known
    assert not run.wants_more(SILENCE - 0.1)
    assert run.wants_more(SILENCE)
    run.take(message(1, 1), SILENCE + 1)
    assert run.known
    assert not run.wants_more(2 * SILENCE)
    assert run.wants_more(2 * SILENCE + 1)


def test_questions_without_answers_become_rare() -> None:
    patience = Patience(5.0, 0.0)
    asked = [second for second in range(24 * 3600) if patience.is_over(second)]
    assert asked[:4] == [5, 10, 15, 20]
    assert asked[4] == 30
    assert len(asked) < 24 * 3600 / LONGEST + 20


def test_a_refusal_says_which_fields() -> None:
    run, told = followed()
    errors = [{"field": "a", "message": "b"}]
    run.refuse({"error": {"code": "invalid_input", "message": "no"}, "errors": errors})
    (error,) = told.ends
    assert isinstance(error, InvalidInputError)
    assert (error.message, error.errors) == ("no", tuple(errors))


def test_a_listener_that_raises_is_told_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Told):
        def on_events(self, events: list[Any]) -> None:
            raise OSError("disk")

    told = Broken()
    run = FollowedRun(Order(), told, 0.0)  # type: ignore[arg-type]
    with caplog.at_level(logging.ERROR):
        run.take(message(1, 3), 0.0)
    assert "could not be taken" in caplog.text
    assert run.take(message(3, 4, last=4), 0.0)
    assert len(told.ends) == 1
    run.die(KernelDiedError("gone"))


def test_nothing_here_needs_an_event_loop() -> None:
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_a_run_that_is_to_stop_is_asked_again() -> None:
    run, _ = followed()
    assert not run.wants_to_stop(100.0)
    run.stop(100.0)
    assert not run.wants_to_stop(101.0)
    assert run.wants_to_stop(102.0)
    assert not run.wants_to_stop(103.0)
    run.stop(103.0)
    assert run.wants_to_stop(104.0), "who asks again does not make it wait longer"
