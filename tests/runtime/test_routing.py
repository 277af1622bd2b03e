"""Jobs that lead to other jobs: ``if``, ``switch``, ``random-router``."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from mcnb.compose.schema.job import RandomRouterJob
from mcnb.errors import InvalidInputError
from mcnb.runtime import Compose, Record, Run, Runtime
from mcnb.runtime.routing import chance_of, way
from tests.support.runs import Models
from tests.support.workflows import PATIENCE, ends, says, started, workflow

WAYS = [says("short", "too short"), says("long", "too long"), says("fine", "fine")]


def by_length(runtime: Runtime, **more: Any) -> Compose:
    conditions = [
        {"operator": "lt", "value": 3, "if_true": "short"},
        {"operator": "gt", "value": 9, "if_true": "long", "if_false": "fine"},
    ]
    check = {"id": "check", "type": "if", "input": "${input.length as integer}", "conditions": conditions, **more}
    return workflow(runtime, [check, *WAYS])


@pytest.mark.parametrize(("length", "to"), [(1, "short"), (5, "fine"), (20, "long")])
def test_if(runtime: Runtime, length: int, to: str) -> None:
    run = by_length(runtime).run(length=length)
    assert run.output == {"short": "too short", "long": "too long", "fine": "fine"}[to]
    skipped = {"short", "long", "fine"} - {to}
    assert ends(run) == {"check": "completed", to: "completed", **dict.fromkeys(skipped, "skipped")}
    assert [(item.job, item.turn, item.to) for item in run.record.ways] == [("check", 1, to)]
    assert runtime.cache.loads == 0


def test_an_if_that_leads_nowhere(runtime: Runtime) -> None:
    check = {"id": "check", "type": "if", "input": 1, "conditions": [{"value": 2, "if_true": "short"}]}
    run = workflow(runtime, [check, WAYS[0]]).run()
    assert run.output is None
    assert ends(run) == {"check": "completed", "short": "skipped"}
    otherwise = workflow(runtime, [{**check, "otherwise": "short"}, WAYS[0]]).run()
    assert otherwise.output == "too short"


def test_a_condition_has_an_input_of_its_own(runtime: Runtime) -> None:
    conditions = [{"input": "${input.b}", "operator": "eq", "value": "${input.a}", "if_true": "fine"}]
    check = {"id": "check", "type": "if", "input": "unused", "conditions": conditions}
    assert workflow(runtime, [check, WAYS[2]]).run(a="x", b="x").output == "fine"
    assert workflow(runtime, [check, WAYS[2]]).run(a="x", b="y").output is None


@pytest.mark.parametrize(("kind", "output"), [("a", "too short"), ("2", "too long"), ("b", "fine"), (None, "fine")])
def test_switch(runtime: Runtime, kind: Any, output: str) -> None:
    cases = [{"value": "a", "then": "short"}, {"value": 2, "then": "long"}]
    check = {"id": "check", "type": "switch", "input": "${input.kind | none}", "cases": cases, "otherwise": "fine"}
    run = workflow(runtime, [check, *WAYS]).run(input={} if kind is None else {"kind": kind})
    assert run.output == output


def test_the_output_of_a_routing_job_is_where_it_leads(runtime: Runtime) -> None:
    loaded = by_length(runtime)
    workflow_output = workflow(
        runtime,
        [
            *(job for job in WAYS),
            {"id": "s", "type": "switch", "input": "x", "cases": [{"value": "x", "then": "fine"}]},
        ],
        output={"way": "${jobs.s.output}", "said": "${output}", "not": "${jobs.short.output}"},
    )
    assert "short" in ends(loaded.run(length=1))
    run = workflow_output.run()
    assert run.output["way"] == "fine"
    assert run.output["said"] == ["too short", "too long", "fine"], "the others are no targets"


def test_what_comes_before_a_router_is_the_output_where_it_leads_nowhere(runtime: Runtime) -> None:
    check = {
        "id": "check",
        "type": "if",
        "input": "${jobs.draft.output}",
        "depends_on": ["draft"],
        "conditions": [{"operator": "contains", "value": "bad", "if_true": "better"}],
    }
    better = says("better", "better than ${jobs.draft.output} (${jobs.check.output})", depends_on=["check"])
    loaded = workflow(runtime, [says("draft", "${input.draft}"), check, better])
    assert loaded.run(draft="good").output == "good"
    assert loaded.run(draft="bad").output == "better than bad (better)"


def test_nested_routing(runtime: Runtime) -> None:
    outer = {"id": "outer", "type": "switch", "input": "${input.a}", "cases": [{"value": "1", "then": "inner"}]}
    inner = {
        "id": "inner",
        "type": "switch",
        "input": "${input.b}",
        "cases": [{"value": "1", "then": "deep"}],
        "otherwise": "flat",
    }
    join = says("join", "[${jobs.deep.output}${jobs.flat.output}]", depends_on=[["deep", "flat"]])
    loaded = workflow(runtime, [outer, inner, says("deep", "deep"), says("flat", "flat"), join])
    run = loaded.run(a=1, b=1)
    assert run.output == "[deep]"
    assert started(run) == ["outer", "inner", "deep", "join"]
    assert loaded.run(a=1, b=2).output == "[flat]"
    nowhere = loaded.run(a=2, b=1)
    assert nowhere.output is None
    assert started(nowhere) == ["outer"]
    assert [job for job, end in ends(nowhere).items() if end == "skipped"] == ["inner", "deep", "flat", "join"]


def test_a_target_waits_for_its_dependencies_too(runtime: Runtime, models: Models) -> None:
    check = {"id": "check", "type": "random-router", "routings": [{"to": "b"}]}
    b = says("b", "after ${jobs.a.output}", depends_on=["a", "check"])
    run = workflow(runtime, [check, {"id": "a", "input": {"said": "a"}}, b], model=models.poet).run()
    assert run.output.startswith("after a")
    assert started(run)[-1] == "b"


# --- by chance --------------------------------------------------------------------------------------------------------


def router(**more: Any) -> dict[str, Any]:
    routings = [{"to": "short", "weight": 1}, {"to": "long", "weight": 1}, {"to": "fine", "weight": 6}]
    return {"id": "dice", "type": "random-router", "routings": routings, **more}


def test_chance_comes_from_the_seed(runtime: Runtime) -> None:
    loaded = workflow(runtime, [router(), *WAYS])

    def outputs() -> list[Any]:
        return [loaded.run(seed=seed).output for seed in range(12)]

    first = outputs()
    assert outputs() == first
    assert set(first) == {"too short", "too long", "fine"}


def test_a_repeated_run_takes_the_way_of_the_record(runtime: Runtime) -> None:
    loaded = workflow(runtime, [router(), *WAYS])
    run = loaded.run(seed=3)
    record = Record.from_dict(run.record.to_dict())
    assert loaded.repeat(record).output == run.output
    (taken,) = record.ways
    taken.to = next(name for name in ("short", "long", "fine") if name != taken.to)
    other: Run = loaded.repeat(record)
    assert other.output != run.output
    assert other.record.ways == record.ways


@pytest.mark.parametrize(("mode", "shares"), [("uniform", (1 / 3, 1 / 3, 1 / 3)), ("weighted", (1 / 8, 1 / 8, 6 / 8))])
def test_the_shares_of_the_ways(mode: str, shares: tuple[float, ...]) -> None:
    job = RandomRouterJob(**router(mode=mode))
    found = Counter(way(job, None, {}, chance_of(seed, "dice", 1)) for seed in range(3000))
    for name, share in zip(("short", "long", "fine"), shares, strict=True):
        assert found[name] / 3000 == pytest.approx(share, abs=0.03)


def test_the_end_of_the_range_is_the_last_way() -> None:
    assert way(RandomRouterJob(**router()), None, {}, 0.0) == "short"
    assert way(RandomRouterJob(**router()), None, {}, 1.0) == "fine"


# --- a person ---------------------------------------------------------------------------------------------------------


def test_a_person_chooses_the_way(runtime: Runtime) -> None:
    run = by_length(runtime, interrupt={"after": {"message": "This way?"}}).submit(length=1)
    assert run.settle(PATIENCE)
    assert run.interruption is not None
    assert run.interruption.value == "short"
    run.resume("long")
    assert run.result(PATIENCE) == "too long"
    assert run.record.ways[0].to == "long"


def test_a_person_changes_what_is_tested(runtime: Runtime) -> None:
    run = by_length(runtime, interrupt={"before": True}).submit(length=1)
    assert run.settle(PATIENCE)
    run.resume(100)
    assert run.result(PATIENCE) == "too long"


def test_a_way_that_there_is_not(runtime: Runtime) -> None:
    run = by_length(runtime, interrupt={"after": True}).submit(length=1)
    assert run.settle(PATIENCE)
    run.resume("up")
    with pytest.raises(InvalidInputError, match="'check' does not lead to 'up'; it leads to short, long, fine"):
        run.result(PATIENCE)


def test_what_cannot_be_compared(runtime: Runtime) -> None:
    conditions = [{"operator": "lt", "value": [3], "if_true": "short"}]
    run = workflow(runtime, [{"id": "check", "type": "if", "input": 1, "conditions": conditions}, WAYS[0]]).submit()
    with pytest.raises(InvalidInputError, match=r"'check': conditions\[0\]: 1 is neither more nor less than \[3\]"):
        run.result(PATIENCE)
