"""How far a job is, in one line."""

from __future__ import annotations

from mcnb.batch.standing import WINDOW, Standing


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def results(count: int, *, failed: int = 0, tokens: int = 5) -> list[dict[str, object]]:
    return [{"state": "failed" if number < failed else "completed", "output_tokens": tokens} for number in range(count)]


def test_the_line() -> None:
    clock = Clock()
    standing = Standing(2000, 1000, 1, clock)
    assert standing.line() == "1,000 of 2,000 rows  1 failed"
    clock.now += 10
    standing.note(results(100, failed=2))
    assert standing.line() == "1,100 of 2,000 rows  3 failed  10.0 rows/s  50 tokens/s  1 min 30 s left"
    assert standing.last_line() == (
        "1,100 of 2,000 rows · 1,000 of them before · 3 failed · 10 s · 10.0 rows/s · 50 tokens/s"
    )


def test_the_speed_is_that_of_late() -> None:
    clock = Clock()
    standing = Standing(10_000, clock=clock)
    for rows in [1] * 60 + [50] * 60:
        clock.now += 1
        standing.note(results(rows))
    assert standing.rows_per_second is not None
    assert abs(standing.rows_per_second - 50) < 2
    assert len(standing._marks) <= WINDOW + 2


def test_a_stall_is_seen() -> None:
    clock = Clock()
    standing = Standing(100, clock=clock)
    clock.now += 1
    standing.note(results(10))
    clock.now += 9
    assert standing.rows_per_second == 1.0
    assert "no row for" not in standing.line()
    clock.now += 5
    assert standing.line().startswith("10 of 100 rows  0.7 rows/s  3 tokens/s  no row for 14 s  ")
