"""What a run says it is doing, worked out from its events; their times are the only clock."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from mcnb.runtime import Compose, Event
from mcnb.runtime.events import EventLog
from mcnb.runtime.status import Status
from mcnb.runtime.tracking import StatusTracker, Tracking
from tests.support.runs import FIRST_LINE, Gate, Models

PATIENCE = 60


class Told:
    """Events of a clock of their own, and the status after each."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.count = 0
        self.tracker = StatusTracker()

    def __call__(self, kind: Any, after: float = 0.0, **data: Any) -> Status:
        self.now += after
        self.count += 1
        self.tracker.add(Event(self.count, kind, data, self.now))
        return self.tracker.status

    def state(self, state: str, **data: Any) -> Status:
        return self("state", state=state, **data)

    def prompt(self, tokens: int, budget: int, after: float = 0.0, job: str = "__job__", item: int = 0) -> Status:
        return self("prompt", after, job=job, item=item, tokens=tokens, budget=budget)

    def token(self, tokens: int, after: float = 0.0, job: str = "__job__", item: int = 0) -> Status:
        return self("token", after, job=job, item=item, text="x", tokens=tokens, streamed=True)

    def item(self, item: int, items: int, after: float = 0.0, job: str = "__job__") -> Status:
        return self("job", after, job=job, state="processing", item=item, items=items)

    def download(self, done: int, total: int, after: float = 0.0) -> Status:
        return self("download", after, what="SmolLM2", done=done, total=total, unit="bytes")


@pytest.fixture
def told() -> Told:
    return Told()


def test_before_anything_happens(told: Told) -> None:
    assert told.state("pending") == Status("waiting")
    assert told.state("pending").line() == "waiting"
    assert told.state("processing").line() == "waiting for the model"
    assert told.tracker.status.fraction is None


def test_a_download(told: Told) -> None:
    told.state("processing")
    first = told.download(0, 92_900_000)
    assert first.line() == "downloading SmolLM2  0 B of 92.9 MB  0 %"
    assert first.fraction == 0
    second = told.download(23_100_000, 92_900_000, after=5.6)
    assert second.line() == "downloading SmolLM2  23.1 MB of 92.9 MB  24 %  4.1 MB/s  17 s left"
    assert second.fraction == pytest.approx(0.2487, abs=1e-4)
    assert (second.stage, second.what, second.unit) == ("download", "SmolLM2", "bytes")
    last = told.download(92_900_000, 92_900_000, after=10)
    assert last.line() == "downloading SmolLM2  92.9 MB of 92.9 MB  100 %"
    assert last.fraction == 1


def test_a_download_that_goes_on_where_it_stopped_is_not_faster_for_it(told: Told) -> None:
    told.download(50_000_000, 100_000_000)
    status = told.download(60_000_000, 100_000_000, after=10)
    assert status.units_per_second == 1_000_000
    assert status.seconds_left == 40


def test_a_speed_needs_a_moment(told: Told) -> None:
    told.download(0, 100)
    assert told.download(50, 100, after=0.1).line() == "downloading SmolLM2  50 B of 100 B  50 %"


def test_a_download_of_unknown_size(told: Told) -> None:
    assert told.download(0, 0).line() == "downloading SmolLM2  ..."
    status = told.download(2_000_000, 0, after=2)
    assert status.line() == "downloading SmolLM2  2.0 MB"
    assert status.fraction is None


def test_converting_and_loading(told: Told) -> None:
    assert told("convert", what="m", done=0, total=0, unit="tensors").line() == "converting m  ..."
    assert (
        told("convert", 1, what="m", done=30, total=120, unit="tensors").line()
        == "converting m  30 of 120 tensors  3 s left"
    )
    status = told("load", what="m", done=3, total=9, unit="weights")
    assert status.line() == "loading m  3 of 9 weights"
    assert status.fraction == pytest.approx(1 / 3)
    assert told("load", 1, what="m", done=5, total=9, unit="weights").line().endswith("5 of 9 weights  2 s left")


def test_a_prompt_is_read_before_the_first_token(told: Told) -> None:
    told("load", what="m", done=9, total=9, unit="weights")
    status = told.prompt(1032, 128)
    assert (status.stage, status.tokens, status.budget) == ("prompt", 1032, 128)
    assert status.line() == "reading the prompt  1,032 tokens"
    assert status.fraction is None
    first = told.token(1, after=30)
    assert first.line() == "generating  1 of up to 128 tokens"
    assert first.fraction == 1 / 128


def test_generating(told: Told) -> None:
    told.prompt(12, 128)
    told.token(0)
    told.token(1, after=3)
    status = told.token(41, after=40 / 22.5)
    assert status.line() == "generating  41 of up to 128 tokens  22.5 tokens/s  4 s left"
    assert status.tokens_per_second == pytest.approx(22.5), "reading the prompt is no part of it"
    assert status.seconds_left == pytest.approx(87 / 22.5)
    assert status.fraction == 41 / 128


def test_generating_when_the_budget_is_not_known(told: Told) -> None:
    told.token(1)
    status = told.token(1001, after=10)
    assert status.line() == "generating  1,001 tokens  100.0 tokens/s"
    assert (status.fraction, status.seconds_left) == (None, None)


def test_the_items_of_a_repeated_job(told: Told) -> None:
    assert told.item(0, 3, job="poems").stage == "waiting"
    assert told.prompt(12, 100, job="poems").line() == "poems 1 of 3: reading the prompt  12 tokens"
    told.token(1, job="poems")
    first = told.token(51, job="poems", after=5)
    assert first.line() == "poems 1 of 3: generating  51 of up to 100 tokens  10.0 tokens/s  25 s left"
    assert first.fraction == pytest.approx(0.51 / 3)
    told.item(1, 3, job="poems", after=5)
    second = told.prompt(12, 100, job="poems", item=1, after=2)
    assert second.line() == "poems 2 of 3: reading the prompt  12 tokens  18 s left", "the first one took 10 s"
    assert second.fraction == pytest.approx(1 / 3)
    assert (second.item, second.items) == (2, 3)
    assert told.token(50, job="poems", item=1, after=3).fraction == pytest.approx(0.5)


def test_items_that_take_longer_than_those_before(told: Told) -> None:
    told.item(0, 2)
    told.token(1)
    told.item(1, 2, after=2)
    assert told.token(1, item=1, after=100).line() == "item 2 of 2: generating  1 tokens  0 s left"


def test_a_batch_of_prompts_is_several_generations(told: Told) -> None:
    told.prompt(5, 20)
    told.token(1)
    told.token(20, after=1)
    again = told.prompt(6, 20, item=1)
    assert again.line() == "reading the prompt  6 tokens"
    assert told.token(1, item=1, after=60).tokens_per_second is None
    told.tracker.add(Event(9, "token", {"job": "__job__", "item": 2, "text": "", "tokens": 0, "streamed": False}))
    assert told.tracker.status.tokens == 0
    assert told.state("cancelled").line() == "cancelled after 21 tokens"


def test_of_jobs_side_by_side_the_first_is_shown(told: Told) -> None:
    told.prompt(5, 20, job="a")
    told.token(1, job="a")
    told.prompt(7, 30, job="b")
    assert told.token(9, job="b").tokens == 1
    told("download", what="m", done=1, total=9, unit="bytes")
    assert told.tracker.status.stage == "generating"
    told("job", job="a", state="completed")
    assert told.tracker.status.tokens == 9
    told("job", job="b", state="completed")
    assert told.tracker.status.line() == "downloading m  1 B of 9 B  11 %", "a third job waits for its model"


def test_an_interruption(told: Told) -> None:
    told.prompt(5, 20, job="a")
    told.token(3, job="a")
    status = told.state("interrupted", job="a", phase="after", message="Good enough?", metadata=None, value="x")
    assert (status.stage, status.line()) == ("interrupted", "waiting for an answer: Good enough?")
    assert told.state("processing").line() == "waiting for the model", "that job is done"
    assert told.state("interrupted", job="b", phase="before", message=None).line() == "waiting for an answer"


def test_the_ends(told: Told) -> None:
    assert told.state("cancelled").line() == "cancelled"
    told.token(17)
    assert told.state("cancelling") == Status("stopping", tokens=17)
    assert told.tracker.status.line() == "stopping"
    assert told.state("cancelled").line() == "cancelled after 17 tokens"
    completed = told.state("completed")
    assert (completed.line(), completed.fraction) == ("completed", 1)
    failed = told.state("failed", error={"code": "internal", "message": "it broke; try again"})
    assert failed.line() == "failed: it broke; try again"
    assert failed.fraction is None


def test_the_status_of_a_run(compose: Any, models: Models, gate: Gate) -> None:
    loaded: Compose = compose(models.endless, max_output_length=50)
    run = loaded.submit(prompt=FIRST_LINE)
    gate.at_token(run, 4)
    assert gate.reached.wait(PATIENCE)
    status = run.status
    assert (status.stage, status.tokens, status.budget) == ("generating", 4, 50)
    assert status.fraction == 4 / 50
    with pytest.raises(AttributeError):
        status.tokens = 5  # type: ignore[misc]
    gate.open()
    assert run.wait(PATIENCE)
    assert (run.status.stage, run.status.tokens) == ("completed", 50)
    prompt = next(event for event in run.events_after(0) if event.type == "prompt")
    assert prompt.data == {"job": "__job__", "item": 0, "tokens": 12, "budget": 50}
    kinds = [event.type for event in run.events_after(0)]
    assert kinds.count("prompt") == 1
    assert kinds.index("prompt") < kinds.index("token")


def test_each_event_is_read_once() -> None:
    handed: list[Event] = []

    class Log(EventLog):
        def after(self, number: int) -> list[Event]:
            found = super().after(number)
            handed.extend(found)
            return found

    log = Log()
    tracking = Tracking(log)
    for number in range(1, 1001):
        log.add("token", {"job": "a", "item": 0, "text": "x", "tokens": number, "streamed": True})
        assert tracking.status.tokens == number
        assert tracking.status.tokens == number
    assert len(handed) == 1000


def test_any_number_of_threads_may_ask(compose: Any, models: Models) -> None:
    run = compose(models.poet).submit(prompt=FIRST_LINE)
    wrong: list[Status] = []

    def ask() -> None:
        tokens = 0
        while not run.done:
            status = run.status
            if status.stage == "generating" and status.tokens < tokens:
                wrong.append(status)
            tokens = status.tokens if status.stage == "generating" else 0

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert wrong == []
    assert run.status.tokens == run.record.usage.output_tokens - 1, "the end token says nothing"
