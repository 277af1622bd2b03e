"""Loops: routing back to an earlier job runs it, and what follows it, again; ``max_run_count`` ends that."""

from __future__ import annotations

from typing import Any

import pytest

from mcnb.errors import LoopLimitError
from mcnb.runtime import Record, Runtime
from tests.support.runs import Models
from tests.support.workflows import PATIENCE, ends, says, started, workflow


def counting(until: int, **more: Any) -> list[dict[str, Any]]:
    """A draft that grows by one sign each time, until it is long enough."""
    return [
        says("draft", "${jobs.draft.output}x", **more),
        says("review", "<${jobs.draft.output}>", depends_on=["draft"]),
        {
            "id": "check",
            "type": "if",
            "input": "${jobs.review.output}",
            "depends_on": ["review"],
            "conditions": [{"operator": "neq", "value": f"<{'x' * until}>", "if_true": "draft", "if_false": "publish"}],
        },
        says("publish", "published ${jobs.review.output}"),
    ]


def test_again_until_it_is_good(runtime: Runtime) -> None:
    run = workflow(runtime, counting(3)).run()
    assert run.output == "published <xxx>"
    assert started(run) == [*["draft", "review", "check"] * 3, "publish"]
    assert [(way.job, way.turn, way.to) for way in run.record.ways] == [
        ("check", 1, "draft"),
        ("check", 2, "draft"),
        ("check", 3, "publish"),
    ]


def test_the_first_job_of_a_loop_starts_by_itself(runtime: Runtime) -> None:
    assert started(workflow(runtime, counting(1)).run()) == ["draft", "review", "check", "publish"]


def test_a_loop_that_leads_nowhere_in_the_end(runtime: Runtime) -> None:
    jobs = counting(2)[:3]
    jobs[2]["conditions"][0].pop("if_false")
    run = workflow(runtime, jobs).run()
    assert run.output == "<xx>", "the last job that ran"


def test_a_loop_is_stopped(runtime: Runtime) -> None:
    run = workflow(runtime, counting(100, max_run_count=4)).submit()
    with pytest.raises(LoopLimitError, match="'draft' is routed to again, but has run 4 times") as caught:
        run.result(PATIENCE)
    assert caught.value.code == "loop_limit"
    assert run.state == "failed"
    assert started(run).count("draft") == 4
    assert ends(run) == {"draft": "completed", "review": "completed", "check": "completed"}


def test_without_a_limit_it_is_25(runtime: Runtime) -> None:
    run = workflow(runtime, counting(1000)).submit()
    with pytest.raises(LoopLimitError, match="has run 25 times"):
        run.result(PATIENCE)


def test_a_job_that_leads_to_itself_when_it_fails(runtime: Runtime) -> None:
    job = {"id": "bad", "input": {"said": "a"}, "on_error": {"to": "bad"}, "max_run_count": 3}
    run = workflow(runtime, [job]).submit()
    with pytest.raises(LoopLimitError):
        run.result(PATIENCE)
    assert started(run) == ["bad"] * 3


def test_two_loops_one_in_the_other(runtime: Runtime) -> None:
    jobs = [
        says("outer", "${jobs.outer.output}o"),
        says("inner", "${jobs.inner.output}i", depends_on=["outer"]),
        {
            "id": "more",
            "type": "if",
            "input": "${jobs.inner.output}",
            "depends_on": ["inner"],
            "conditions": [
                {"operator": "in", "value": ["i", "iii"], "if_true": "inner"},
                {"operator": "eq", "value": "ii", "if_true": "outer", "if_false": "end"},
            ],
        },
        says("end", "${jobs.outer.output}${jobs.inner.output}"),
    ]
    run = workflow(runtime, jobs).run()
    assert run.output == "ooiiii", "the latest of each"
    assert "".join(job[0] for job in started(run)) == "oimimoimime"


def test_a_loop_by_routing_alone(runtime: Runtime) -> None:
    jobs = [
        {"id": "start", "type": "random-router", "routings": [{"to": "a"}]},
        says("a", "${jobs.a.output}a", interrupt=None),
        {
            "id": "b",
            "type": "if",
            "depends_on": ["a"],
            "input": "${jobs.a.output}",
            "conditions": [{"value": "aaa", "if_false": "a"}],
        },
    ]
    assert workflow(runtime, jobs).run().output == "aaa"


def test_what_stands_beside_a_loop_runs_once(runtime: Runtime) -> None:
    jobs = [*counting(3), says("beside", "beside"), says("last", "${jobs.beside.output}, ${jobs.publish.output}")]
    jobs[-1]["depends_on"] = ["beside", "publish"]
    run = workflow(runtime, jobs).run()
    assert run.output == "beside, published <xxx>"
    assert started(run).count("beside") == 1


def test_a_loop_waits_for_no_side_branch_but_runs_it_again(runtime: Runtime) -> None:
    jobs = [*counting(3), says("side", "(${jobs.draft.output})", depends_on=["draft"])]
    run = workflow(runtime, jobs, output={"side": "${jobs.side.output}", "said": "${jobs.publish.output}"}).run()
    assert run.output == {"side": "(xxx)", "said": "published <xxx>"}


def test_each_turn_has_a_seed_of_its_own(runtime: Runtime, models: Models) -> None:
    jobs = [
        {"id": "draft", "input": {"said": "a"}},
        says("count", "${jobs.count.output}x", depends_on=["draft"]),
        {
            "id": "check",
            "type": "if",
            "input": "${jobs.count.output}",
            "depends_on": ["count"],
            "conditions": [{"operator": "neq", "value": "xxxx", "if_true": "draft"}],
        },
    ]
    loaded = workflow(runtime, jobs, model=models.dice, output="${jobs.draft.output}")
    run = loaded.run(seed=11, parameters={"max_output_length": 6})
    assert [item.turn for item in run.record.generations] == [1, 2, 3, 4]
    seeds = {item.parameters["seed"]["value"] for item in run.record.generations}
    assert len(seeds) == 4
    again = loaded.repeat(Record.from_dict(run.record.to_dict()))
    assert again.output == run.output
    assert again.record.ways == run.record.ways
    assert [item.prompt_sha256 for item in again.record.generations] == [
        item.prompt_sha256 for item in run.record.generations
    ]
