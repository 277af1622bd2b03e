"""``depends_on`` with any-of groups: one job of each group is enough."""

from __future__ import annotations

from mcnb.runtime import Record, Runtime
from tests.support.workflows import PATIENCE, Clock, ends, says, started, workflow


def test_one_branch_is_skipped(runtime: Runtime) -> None:
    jobs = [
        {
            "id": "pick",
            "type": "switch",
            "input": "${input.way}",
            "cases": [{"value": "a", "then": "a"}],
            "otherwise": "b",
        },
        says("a", "A"),
        says("b", "B"),
        says("join", "${jobs.a.output}${jobs.b.output}!", depends_on=[["a", "b"]]),
    ]
    loaded = workflow(runtime, jobs)
    run = loaded.run(way="a")
    assert run.output == "A!"
    assert ends(run) == {"pick": "completed", "a": "completed", "join": "completed", "b": "skipped"}
    assert loaded.run(way="x").output == "B!"


def test_waiting_for_all_of_them_is_another_thing(runtime: Runtime) -> None:
    jobs = [
        {"id": "pick", "type": "random-router", "routings": [{"to": "a"}]},
        says("a", "A"),
        says("b", "B", depends_on=["never"]),
        {"id": "no", "type": "if", "input": 1, "conditions": [{"value": 2, "if_true": "never"}]},
        says("never", "N"),
        says("join", "join", depends_on=["a", "b"]),
    ]
    run = workflow(runtime, jobs).run()
    assert run.output == "A"
    assert [job for job, end in ends(run).items() if end == "skipped"] == ["b", "never", "join"]


def test_a_group_and_a_job(timed: Runtime) -> None:
    jobs = [
        says("a", "A"),
        says("b", "B", depends_on=["a"]),
        says("c", "C", depends_on=["b"]),
        says("join", "${jobs.a.output}${jobs.b.output}${jobs.c.output}", depends_on=[["a", "c"], "b"]),
    ]
    run = workflow(timed, jobs).run()
    assert run.record.ways[0].after in (["a", "b"], ["a", "b", "c"])
    assert run.output == ["C", "AB"], "it begins when 'b' is done, and 'c' does the same"


def test_it_starts_with_the_first_and_runs_once(timed: Runtime, clock: Clock) -> None:
    """``slow`` never ends; the one that waits for any of both has run all the same."""
    clock.stands = True
    jobs = [
        {"id": "slow", "type": "delay", "duration": "1h", "output": "slow"},
        {"id": "fast", "type": "filter", "input": ["fast"], "where": {"value": "fast"}},
        {"id": "join", "type": "filter", "input": "${jobs.fast.output}", "where": {"value": "fast"}},
    ]
    jobs[2]["depends_on"] = [["slow", "fast"]]
    run = workflow(timed, jobs).submit()
    while ends(run).get("join") != "completed":
        assert run.wait_event(len(run.events_after(0)), PATIENCE)
    assert ends(run)["slow"] == "waiting"
    run.cancel()
    assert run.wait(PATIENCE)
    assert ends(run) == {"slow": "cancelled", "fast": "completed", "join": "completed"}
    assert [(way.job, way.after) for way in run.record.ways] == [("join", ["fast"])]


def test_a_repeated_run_waits_for_what_came_first(timed: Runtime) -> None:
    jobs = [
        says("a", "A"),
        says("b", "B"),
        says("late", "late", depends_on=["b"]),
        says("join", "${jobs.a.output}${jobs.late.output}", depends_on=[["a", "late"]]),
    ]
    loaded = workflow(timed, jobs, output="${jobs.join.output}")
    run = loaded.run()
    assert run.output == "A"
    record = Record.from_dict(run.record.to_dict())
    record.ways[0].after = ["late"]
    again = loaded.repeat(record)
    assert again.output == "late"
    assert started(again)[-1] == "join"
    assert again.record.ways == record.ways
    record.ways[0].after = ["a", "late"]
    assert loaded.repeat(record).output == "Alate"
