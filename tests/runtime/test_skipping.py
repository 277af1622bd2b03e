"""Jobs that nothing leads to are skipped, and say so."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcnb.runtime import Runtime
from tests.support.runs import job_events, states_of
from tests.support.workflows import ends, says, workflow

SWITCH = {"id": "pick", "type": "switch", "input": "${input.way}", "cases": [{"value": "a", "then": "a"}]}


def test_what_follows_a_skipped_job_is_skipped(runtime: Runtime) -> None:
    jobs = [
        SWITCH,
        says("a", "A"),
        says("after", "after", depends_on=["a"]),
        says("both", "both", depends_on=["after", "other"]),
        says("other", "other"),
    ]
    run = workflow(runtime, jobs, output={"a": "${jobs.a.output}", "said": "${output}"}).run(way="x")
    assert run.output == {"a": None, "said": "other"}
    assert ends(run) == {
        "pick": "completed",
        "other": "completed",
        "a": "skipped",
        "after": "skipped",
        "both": "skipped",
    }
    kinds = [event.data["state"] for event in job_events(run)]
    assert kinds[-3:] == ["skipped"] * 3
    assert run.events_after(0)[-2].type == "output"


def test_a_failed_run_says_nothing_about_what_it_never_came_to(runtime: Runtime) -> None:
    jobs = [{"id": "bad", "input": {"said": "a"}}, says("next", "next", depends_on=["bad"])]
    run = workflow(runtime, jobs).submit()
    assert run.wait(60)
    assert ends(run) == {"bad": "failed"}


@st.composite
def graphs(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Jobs that only depend on those before them, in any order of the file, with ways past each other."""
    count = draw(st.integers(1, 8))
    jobs: list[dict[str, Any]] = []
    led_to: set[int] = set()
    for number in range(count):
        before = [f"j{other}" for other in range(number)]
        names = draw(st.lists(st.sampled_from(before), unique=True, max_size=3)) if before else []
        said = "".join(f"${{jobs.{name}.output}}" for name in before)
        free = [other for other in range(number + 1, count) if other not in led_to]
        if free and draw(st.booleans()):
            ways = draw(st.lists(st.sampled_from(free), min_size=1, max_size=2))
            led_to.update(ways)
            cases = [{"value": value, "then": f"j{to}"} for value, to in enumerate(ways)]
            jobs.append({"id": f"j{number}", "type": "switch", "input": draw(st.integers(0, 2)), "cases": cases})
        else:
            jobs.append(says(f"j{number}", f"({number}{said})"))
        jobs[-1]["depends_on"] = names
    return draw(st.permutations(jobs))


def reference(jobs: list[dict[str, Any]]) -> dict[str, Any]:
    """Run the jobs one after the other; what each knows is what came before it."""
    by_id = {job["id"]: job for job in jobs}
    targets = {case["then"] for job in jobs for case in job.get("cases", ())}
    outputs: dict[str, Any] = {}
    seen: dict[str, set[str]] = {}
    asked: dict[str, set[str]] = {name: set() for name in by_id}
    for name in sorted(by_id):
        job = by_id[name]
        if not all(other in outputs for other in set(job["depends_on"]) - asked[name]):
            continue
        if name in targets and not asked[name]:
            continue
        came = set(job["depends_on"]) | asked[name]
        seen[name] = came.union(*(seen[other] for other in came))
        if "cases" in job:
            to = next((case["then"] for case in job["cases"] if case["value"] == job["input"]), None)
            outputs[name] = to
            if to is not None:
                asked[to].add(name)
        else:
            text = job["output"]
            for other in by_id:
                known = outputs.get(other) if other in seen[name] else None
                text = text.replace(f"${{jobs.{other}.output}}", known or "")
            outputs[name] = text
    return outputs


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(graphs())
def test_any_graph_gives_what_running_it_in_order_gives(runtime: Runtime, jobs: list[dict[str, Any]]) -> None:
    output = {job["id"]: f"${{jobs.{job['id']}.output}}" for job in jobs}
    run = workflow(runtime, jobs, output=output).run()
    expected = reference(jobs)
    assert {name: value for name, value in run.output.items() if value is not None} == {
        name: value for name, value in expected.items() if value is not None
    }
    assert {job for job, end in ends(run).items() if end == "skipped"} == set(output) - set(expected)
    assert states_of(run) == ["pending", "processing", "completed"]
    events = run.events_after(0)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
