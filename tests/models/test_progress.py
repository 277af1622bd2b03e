"""Reports of progress: not too many, but always the first and the last."""

from __future__ import annotations

from mcnb.models.progress import Progress, Throttled, no_report

from .calls import Reports


def step(done: int, total: int = 10) -> Progress:
    return Progress("download", "a file", done, total, "bytes")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_report_in_each_interval_and_the_first_and_the_complete_one() -> None:
    reports, clock = Reports(), Clock()
    tell = Throttled(reports, interval=1.0, clock=clock)
    for done in range(11):
        clock.now = done * 0.4
        tell(step(done))
    assert [progress.done for progress in reports] == [0, 3, 6, 9, 10]


def test_nothing_is_told_twice() -> None:
    reports, clock = Reports(), Clock()
    tell = Throttled(reports, interval=1.0, clock=clock)
    for done in (10, 10, 10):
        clock.now += 5
        tell(step(done))
    assert [progress.done for progress in reports] == [10]


def test_an_unknown_total_is_never_complete() -> None:
    reports, clock = Reports(), Clock()
    tell = Throttled(reports, interval=1.0, clock=clock)
    for done in range(5):
        tell(step(done, total=0))
    assert [progress.done for progress in reports] == [0]


def test_what_an_event_tells() -> None:
    assert step(3).to_dict() == {"what": "a file", "done": 3, "total": 10, "unit": "bytes"}
    no_report(step(3))
