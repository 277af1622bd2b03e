"""What follows what in a workflow, and what can never happen in it."""

from __future__ import annotations

import pytest

from mcnb.compose.flow import Flow
from tests.compose.documents import load, said

COMPONENT = "component: {model: a/b, text: x}\n"


def jobs(*lines: str) -> str:
    return COMPONENT + "workflow:\n  jobs:\n" + "".join(f"    - {{{line}}}\n" for line in lines)


def flow(*lines: str) -> Flow:
    return Flow.of(load(jobs(*lines)).workflows[0].jobs)


def warned(*lines: str) -> list[str]:
    return [str(warning).removeprefix("f.yml:") for warning in load(jobs(*lines)).warnings]


def switch(name: str, *ways: str, more: str = "") -> str:
    cases = ", ".join(f"{{value: {number}, then: {way}}}" for number, way in enumerate(ways))
    return f"id: {name}, type: switch, input: 1, cases: [{cases}]{more}"


def test_what_is_routed_to_starts_only_then():
    assert flow(switch("s", "a", "b"), "id: a", "id: b", "id: c").targets == {"a", "b"}
    assert flow("id: a, on_error: {to: b}", "id: b").targets == {"b"}


@pytest.mark.parametrize("turned", [False, True])
def test_the_beginning_of_a_loop_starts_by_itself(turned):
    lines = ["id: draft", switch("check", "draft", "done", more=", depends_on: [draft]"), "id: done"]
    found = flow(*(reversed(lines) if turned else lines))
    assert found.targets == {"done"}
    assert found.after("draft") == {"draft", "check", "done"}
    assert found.runnable == {"draft", "check", "done"}


def test_loops_by_routing_alone():
    assert flow(switch("a", "b"), switch("b", "a")).targets == {"b"}, "the first in the file begins"
    assert flow(switch("a", "b"), switch("b", "a"), switch("s", "a")).targets == {"a", "b"}
    assert flow("id: a, on_error: {to: a}").targets == set()


def test_two_loops_one_in_the_other():
    found = flow(
        "id: o", "id: i, depends_on: [o]", switch("more", "i", "o", "end", more=", depends_on: [i]"), "id: end"
    )
    assert found.targets == {"end"}
    assert found.runnable == {"o", "i", "more", "end"}


def test_a_routing_loop_is_no_circle():
    assert said(jobs("id: a", switch("b", "a", more=", depends_on: [a]"))) == []
    (problem,) = said(jobs("id: a, depends_on: [b]", "id: b, depends_on: [a]"))
    assert "jobs wait for each other in a circle" in problem


# --- what is an error -------------------------------------------------------------------------------------------------


def test_a_job_that_cannot_have_run():
    (problem,) = said(jobs("id: a, input: {x: 'see ${jobs.b.output}'}", "id: b, depends_on: [a]"))
    assert problem == "4:31: ${jobs.b.output}: 'b' runs after 'a', so that it has no output yet"
    (itself,) = said(jobs("id: a, output: '${jobs.a.output}'"))
    assert itself.endswith("${jobs.a.output}: 'a' has no output before it has run (write ${output} for what it gives)")


@pytest.mark.parametrize(
    "lines",
    [
        ["id: a", "id: b, depends_on: [a], input: {x: '${jobs.a.output}'}"],
        ["id: a, input: {x: '${jobs.b.output | none}'}", "id: b, depends_on: [a]"],
        [
            "id: a, input: {x: '${jobs.b.output}${jobs.a.output}'}",
            "id: b, depends_on: [a]",
            switch("c", "a", more=", depends_on: [b]"),
        ],
        ["id: a, on_error: {to: r}", "id: r, input: {x: '${jobs.a.output}'}"],
    ],
    ids=["before", "with a default", "in a loop", "behind a failure"],
)
def test_what_can_be_there(lines):
    assert said(jobs(*lines)) == []
    assert warned(*lines) == []


# --- what is a warning ------------------------------------------------------------------------------------------------


def test_jobs_that_never_run():
    found = warned(
        "id: a, depends_on: [[]]", "id: b, depends_on: [a]", switch("s", "t", more=", depends_on: [b]"), "id: t"
    )
    assert [line.split(": ", 1)[1] for line in found] == [
        "job 'a' can never run (what it waits for never runs)",
        "job 'b' can never run (what it waits for never runs)",
        "job 's' can never run (what it waits for never runs)",
        "job 't' can never run (nothing leads to it)",
    ]


def test_a_loop_with_a_job_in_it_that_stands_first_in_the_file():
    polish = "id: polish, depends_on: [check]"
    found = flow(
        polish,
        "id: draft",
        switch("check", "polish", more=", depends_on: [draft]"),
        switch("again", "draft", more=", depends_on: [polish]"),
    )
    assert found.targets == {"polish"}


def test_a_target_that_waits_for_what_follows_it():
    lines = ["id: a", switch("s", "t", more=", depends_on: [a]"), "id: t, depends_on: [[u]]", switch("u", "x"), "id: x"]
    assert warned(*lines) == []


def test_both_ways_of_one_router():
    (found,) = warned(switch("s", "a", "b"), "id: a", "id: b", "id: join, depends_on: [a, b]")
    assert found.startswith("7:18: job 'join' can never run: 's' leads to 'a' or 'b', and it waits for both")
    assert found.endswith("(wait for any of them: [[a, b]])")
    assert warned(switch("s", "a", "b"), "id: a", "id: b", "id: join, depends_on: [[a, b]]") == []
    assert warned(switch("s", "a"), switch("t", "b"), "id: a", "id: b", "id: join, depends_on: [a, b]") == []


def test_an_output_that_nobody_waits_for():
    (found,) = warned("id: a", "id: b, input: {x: '${jobs.a.output}'}")
    assert found == (
        "5:27: ${jobs.a.output}: 'b' does not wait for 'a', and sees nothing of it (add 'a' to its 'depends_on')"
    )


def test_a_document_without_workflows_has_no_warnings():
    assert load(COMPONENT).warnings == ()
