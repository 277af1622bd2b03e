"""Where an expression may look: the sources that exist at its place, and no others."""

from __future__ import annotations

import pytest

from mcnb.compose import scopes
from tests.compose.documents import said

ACTION_PLACES = {
    "prompt": "component: {{model: a/b, text: '{}'}}",
    "params": "component: {{model: a/b, text: x, params: {{top_k: '{}'}}}}",
    "stop": "component: {{model: a/b, text: x, stop_sequences: [a, '{}']}}",
    "message": "component: {{model: a/b, task: chat-completion, messages: [{{role: user, content: {{a: ['{}']}}}}]}}",
    "inline": "workflow: {{job: {{component: {{model: a/b, text: '{}'}}}}}}",
}
RESULT_PLACES = {"output": "component: {{model: a/b, text: x, output: {{a: ['{}']}}}}"}
_JOB = "component: {{{{model: a/b, text: x}}}}\nworkflow: {{{{jobs: [{{{{id: one}}}}, {{{{id: two, {}}}}}]}}}}"
INPUT_PLACES = {
    "job input": _JOB.format("input: {{a: '{}'}}"),
    "repeat_count": _JOB.format("repeat_count: '{}'"),
    "batch_size": _JOB.format("type: for-each, input: [1], batch_size: '{}', do: {{}}"),
}
REPEATED_PLACES = {"repeated input": _JOB.format("repeat_count: 2, input: {{a: '{}'}}")}
ITEM_PLACES = {"for-each body": _JOB.format("type: for-each, input: [1], do: {{input: ['{}']}}")}
JOB_PLACES = {
    "job output": _JOB.format("output: '{}'"),
    "on_error": _JOB.format("on_error: {{output: '{}'}}"),
    "interrupt": _JOB.format("interrupt: {{before: {{message: '{}'}}}}"),
    "for-each input": _JOB.format("type: for-each, input: '{}', do: {{}}"),
    "for-each item": _JOB.format("type: for-each, input: [1], do: {{output: '{}'}}"),
    "condition": _JOB.format("type: if, conditions: [{{value: '{}', if_true: two}}]"),
    "case": _JOB.format("type: switch, cases: [{{value: '{}', then: two}}]"),
    "test": _JOB.format("type: filter, where: {{not: {{any: [{{value: '{}'}}]}}}}"),
    "delay": _JOB.format("type: delay, duration: '{}'"),
}
WORKFLOW_PLACES = {
    "workflow output": (
        "component: {{model: a/b, text: x}}\nworkflow: {{jobs: [{{id: one}}, {{id: two}}], output: {{a: '{}'}}}}"
    )
}

EVERY_ROOT = {
    "input": "${input.a}",
    "result": "${result}",
    "result[]": "${result[]}",
    "output": "${output}",
    "jobs": "${jobs.one.output}",
    "error": "${error.message}",
    "item": "${item}",
    "index": "${index}",
    "context": "${context.run_id}",
    "env": "${env.MCNB_TEST_UNSET | 1}",
}

GROUPS = [
    (ACTION_PLACES, scopes.ACTION),
    (RESULT_PLACES, scopes.RESULT),
    (INPUT_PLACES, scopes.CALL_INPUT),
    (REPEATED_PLACES, scopes.REPEATED_INPUT),
    (ITEM_PLACES, scopes.ITEM_INPUT),
    (JOB_PLACES, scopes.JOB),
    (WORKFLOW_PLACES, scopes.WORKFLOW),
]


@pytest.mark.parametrize(
    ("document", "roots"),
    [pytest.param(document, roots, id=name) for places, roots in GROUPS for name, document in places.items()],
)
def test_sources_of_a_place(document, roots):
    line = document.count("\n") + 1
    column = document.format("@@").split("\n")[-1].index("@@") + 1

    for root, written in EVERY_ROOT.items():
        problems = said(document.format(written))
        if root in roots:
            assert problems == [], root
        else:
            (problem,) = problems
            assert problem.startswith(f"{line}:{column}: {written}: there is no '{root}' here"), root


def test_the_scopes_are_those_of_the_peer():
    assert set(scopes.RESULT) == {"input", "result", "result[]", "context", "env"}
    assert set(scopes.JOB) == {"input", "output", "jobs", "error", "item", "index", "context", "env"}
    assert set(scopes.WORKFLOW) == {"input", "output", "jobs", "context", "env"}


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("${jobs.on.output}", "${jobs.on.output}: there is no job 'on' (did you mean 'one'?)"),
        ("${jobs.three}", "${jobs.three}: there is no job 'three' (known: one, two)"),
        ("${jobs.one.text}", "${jobs.one.text}: a job has nothing but its output (write ${jobs.one.output})"),
        ("${error.trace}", "${error.trace}: there is no such thing (known: error.message, error.code)"),
        ("${context.user}", "${context.user}: there is no such thing (known: context.run_id)"),
        ("${input.a | ${iput.b}}", "${iput.b}: there is no 'iput' here (did you mean 'input'?)"),
        ("${input.a[${idx}]}", "${idx}: there is no 'idx' here (did you mean 'index'?)"),
    ],
)
def test_what_there_is_under_a_source(written, problem):
    (found,) = said(JOB_PLACES["job output"].format(written))

    assert found.partition(": ")[2] == problem


@pytest.mark.parametrize(
    "written", ["${jobs}", "${jobs[${input.name}].output}", "${jobs.one}", "${error}", "${context}"]
)
def test_whole_sources(written):
    assert said(JOB_PLACES["job output"].format(written)) == []


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("${input.n as integer | 5 @(range 1..4)}", "${input.n}: the default 5 is outside of its range 1..4"),
        ("${input.n as number | -1 @(range 0..)}", "${input.n}: the default -1 is outside of its range 0.."),
        ("${input.n as number[] | [1, 9] @(range ..5)}", "${input.n}: the default [1, 9] is outside of its range ..5"),
        ("${input.n as integer | 5 @(range 1..5)}", None),
        ("${input.n as integer | ${input.m} @(range 1..5)}", None),
        ("${input.n | 9 @(range 1..5)}", None),
    ],
)
def test_a_default_lies_in_its_range(written, problem):
    found = said(ACTION_PLACES["prompt"].format(written))

    assert [line.partition(": ")[2] for line in found] == ([problem] if problem else [])
