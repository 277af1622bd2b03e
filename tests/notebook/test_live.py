"""How often a growing text is sent, told by a clock of the test's own."""

from __future__ import annotations

import re
from typing import Any

import pytest

from mcnb.notebook.live import BYTES_PER_SECOND, INTERVAL, Throttle, follow
from mcnb.runtime import Record, Run


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_short_text_is_sent_ten_times_a_second() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    assert throttle.wait() == 0
    throttle.sent(10)
    assert throttle.wait() == pytest.approx(INTERVAL)
    clock.now += INTERVAL / 2
    assert throttle.wait() == pytest.approx(INTERVAL / 2)
    clock.now += INTERVAL
    assert throttle.wait() == 0


def test_a_long_text_is_sent_as_seldom_as_it_takes() -> None:
    clock = Clock()
    throttle = Throttle(clock)
    throttle.sent(10 * BYTES_PER_SECOND)
    assert throttle.wait() == pytest.approx(10)
    throttle.reset()
    assert throttle.wait() == 0


class Played(Run):
    """A run that plays a script: at each wait the clock goes on, or something happens."""

    def __init__(self, clock: Clock, steps: list[Any]) -> None:
        super().__init__(Record("id", "workflow", 0, {}, {}, {}, 1))
        self._clock = clock
        self._steps = iter(steps)

    def wait_event(self, number: int, timeout: float | None = None) -> bool:
        if len(self.events_after(0)) > number:
            return True
        step = next(self._steps)
        if isinstance(step, float):
            self._clock.now += step if timeout is None else min(step, timeout)
            return timeout is None or step < timeout
        if isinstance(step, str):
            self._token("job", 0, step, len(self._pieces) + 1, shown=True, streamed=True)
        elif step is None:
            self._finish("completed", output="".join(self._pieces))
        else:
            self._emit(*step)
        return True


def played(*steps: Any) -> list[tuple[float, str]]:
    """Follow a script; return when which text was sent, the words on how far it is in short."""
    clock = Clock()
    sent: list[tuple[float, str]] = []
    run = Played(clock, list(steps))
    follow(run, lambda bundle: sent.append((round(clock.now - 100, 3), bundle["text/plain"])), clock)
    return [(when, re.sub(r"\[(waiting|generating).*\]$", r"[\1]", text)) for when, text in sent]


def test_the_first_text_is_sent_at_once_and_the_last_one_always() -> None:
    assert played("a", "b", "c", None) == [(0, "[waiting]"), (0, "a\n\n[generating]"), (0, "abc")]


def test_between_them_texts_are_sent_when_it_is_time() -> None:
    texts = [text for _, text in played("a", "b", 1.0, "c", "d", 1.0, None)]
    assert texts == ["[waiting]", "a\n\n[generating]", "ab\n\n[generating]", "abcd\n\n[generating]", "abcd"]


def test_nothing_is_sent_while_nothing_happens() -> None:
    assert [text for _, text in played("a", 1.0, 1.0, 5.0, None)] == ["[waiting]", "a\n\n[generating]", "a"]


def test_progress_is_shown() -> None:
    load = ("load", {"what": "m", "done": 1, "total": 4, "unit": "weights"})
    item = ("job", {"job": "poems", "state": "processing", "item": 1, "items": 3})
    prompt = ("prompt", {"job": "poems", "item": 1, "tokens": 12, "budget": 50})
    hidden = ("token", {"job": "poems", "item": 1, "text": "x", "tokens": 1, "streamed": False})
    texts = [text for _, text in played(1.0, load, 1.0, item, 1.0, prompt, 1.0, hidden, 1.0, None)]
    assert [text.strip("[]") for text in texts] == [
        "waiting",
        "loading m · 1 of 4 weights",
        "loading m · 1 of 4 weights",
        "poems 2 of 3: reading the prompt · 12 tokens",
        "poems 2 of 3: generating · 1 of up to 50 tokens",
        "",
    ]


def test_ten_thousand_reports_of_a_download_are_few_messages() -> None:
    steps: list[Any] = []
    for done in range(10_000):
        steps += [("download", {"what": "m", "done": done, "total": 10_000, "unit": "bytes"}), 0.001]
    sent = played(*steps, None)
    assert sent[-2][1].startswith("[downloading m · ")
    assert len(sent) <= sent[-1][0] / INTERVAL + 3


def test_a_thousand_tokens_are_few_messages() -> None:
    steps: list[Any] = []
    for _ in range(1000):
        steps += ["word ", 0.01]
    sent = played(*steps, None)
    seconds = sent[-1][0]
    assert seconds == pytest.approx(10, abs=0.5)
    assert len(sent) <= seconds / INTERVAL + 3
    assert sum(len(text) for _, text in sent) <= seconds * BYTES_PER_SECOND
    assert sent[-1][1] == "word " * 1000
