"""The state machine over jobs, without any job being executed."""

from __future__ import annotations

from mcnb.compose.flow import Flow
from mcnb.runtime.policies import Outcome
from mcnb.runtime.scheduler import Scheduler

LOOP = Flow(
    needs={"draft": (), "side": (("draft",),), "check": (("draft",),), "end": ()},
    routes={"draft": (), "side": (), "check": ("draft", "end"), "end": ()},
)


def scheduler(flow: Flow) -> Scheduler:
    return Scheduler(flow, dict.fromkeys(flow.needs, 25))


def test_what_a_loop_leads_back_before_counts_no_more_though_it_is_under_way() -> None:
    made = scheduler(LOOP)
    assert made.ready() == ["draft"]
    made.end("draft", made.start("draft"), Outcome("one"))
    assert made.ready() == ["side", "check"]
    side = made.start("side")
    made.end("check", made.start("check"), Outcome("draft", "draft"))
    assert made.ready() == ["draft"]
    made.end("draft", made.start("draft"), Outcome("two"))
    assert made.ready() == ["check"], "the side branch is still busy with the first draft"
    made.end("side", side, Outcome("of one"))
    assert made.ready() == ["side", "check"]
    turn = made.start("side")
    assert turn == 2
    assert made.outputs("side") == {"draft": "two", "check": "draft"}
    made.end("side", turn, Outcome("of two"))
    made.end("check", made.start("check"), Outcome("end", "end"))
    assert made.ready() == ["end"]
    made.end("end", made.start("end"), Outcome("done"))
    assert made.ready() == []
    assert made.latest() == {"draft": "two", "side": "of two", "check": "end", "end": "done"}
    assert made.last(["check"]) == ["side", "end"]


def test_two_ways_to_one_job_run_it_once() -> None:
    flow = Flow(
        needs={"a": (), "b": (("a",),), "t": (), "after": (("t",),)},
        routes={"a": ("t",), "b": ("t",), "t": (), "after": ()},
    )
    made = scheduler(flow)
    made.end("a", made.start("a"), Outcome("t", "t"))
    assert made.ready() == ["b", "t"]
    made.end("t", made.start("t"), Outcome("T"))
    assert made.chosen("t") == ("a",)
    made.end("b", made.start("b"), Outcome("t", "t"))
    assert made.ready() == ["after"]
    assert made.never_ran() == ["after"]


def test_a_job_sees_what_came_before_it_and_nothing_else() -> None:
    flow = Flow(
        needs={"a": (), "b": (("a",),), "beside": (), "c": (("b",),)},
        routes=dict.fromkeys("ab", ()) | {"beside": (), "c": ()},
    )
    made = scheduler(flow)
    for name in ("a", "beside", "b"):
        made.end(name, made.start(name), Outcome(name.upper()))
    made.start("c")
    assert made.outputs("c") == {"a": "A", "b": "B"}


def test_a_job_that_failed_and_leads_elsewhere_lets_its_dependents_wait() -> None:
    flow = Flow(
        needs={"a": (), "next": (("a",),), "other": (("a",),)}, routes={"a": ("other",), "next": (), "other": ()}
    )
    made = scheduler(flow)
    made.end("a", made.start("a"), Outcome(None, "other", ValueError("x")))  # type: ignore[arg-type] # any error will do
    assert made.ready() == ["other"]
    made.end("other", made.start("other"), Outcome("O"))
    assert made.ready() == []
    assert made.never_ran() == ["next"]
    assert made.last([]) == ["other"]
