from __future__ import annotations

import pytest

from mcnb.compose import input_schema, load_document
from tests.compose.documents import DATA, load, said

SAME = [DATA / "good" / f"same.{dialect}.yml" for dialect in ("flat", "intermediate", "current")]


def test_one_document_in_three_dialects_is_equal():
    flat, intermediate, current = (load_document(path) for path in SAME)

    assert flat.spec == intermediate.spec == current.spec
    assert flat.inputs() == intermediate.inputs() == current.inputs()
    assert input_schema(flat.inputs()) == input_schema(current.inputs())
    assert len({flat.digest, intermediate.digest, current.digest}) == 3  # the digest is that of the words


def test_the_spec_says_what_the_documents_say():
    """Equal is not enough: all three could have lost something."""
    spec = load_document(SAME[0]).spec
    (component,), (workflow,) = spec.components, spec.workflows
    (action,), (job,) = component.actions, workflow.jobs
    (adapter,) = spec.controller.adapters

    assert (adapter.port, adapter.base_path, spec.controller.webui.port) == (8080, "/api", 8081)
    assert (component.id, component.task, component.model.repository) == (
        "translator",
        "text-to-text",
        "google/flan-t5-small",
    )
    assert str(action.prompt) == "Translate to ${input.to}: ${input.text}"
    assert (action.max_output_length, action.params.do_sample) == (256, True)
    assert str(action.params.temperature) == "${input.temperature as number | 0.7}"
    assert (workflow.title, job.component) == ("Translate", "translator")
    assert str(job.output["translation"]) == "${output as text}"
    assert workflow.output is None


def test_implicit_job_takes_the_whole_input():
    document = load("component: {model: a/b, text: '${input.prompt}'}\nworkflow: {title: T}")
    (job,) = document.spec.workflows[0].jobs

    assert (job.id, job.type, job.component, job.input) == ("__job__", "component", None, None)
    assert document.inputs().names == ("prompt",)


def test_a_list_behind_a_singular_key():
    document = load("component: [{id: a, default: true, model: a/b, text: x}, {id: b, model: a/b, text: x}]")

    assert [component.id for component in document.spec.components] == ["a", "b"]


def test_lengths_may_stand_in_either_place_and_under_any_name():
    for written in (
        "max_output_length: 7",
        "max_new_tokens: 7",
        "max_tokens: 7",
        "params: {max_output_length: 7}",
        "params: {max_new_tokens: 7}",
        "params: {max_tokens: 7}",
    ):
        for document in (
            f"component:\n  model: a/b\n  text: x\n  {written}",
            f"component:\n  model: a/b\n  action:\n    prompt: x\n    {written}",
        ):
            assert load(document).spec.components[0].actions[0].max_output_length == 7


def test_an_action_output_is_not_a_workflow_output():
    spec = load(
        """
        component: {model: a/b, text: x, output: "c ${result}"}
        workflow: {output: "w ${output}"}
        """
    ).spec

    assert str(spec.components[0].actions[0].output) == "c ${result}"
    assert str(spec.workflows[0].jobs[0].output) == "w ${output}"
    assert spec.workflows[0].output is None


def test_inline_components_are_reshaped_wherever_they_stand():
    inline = "{model: a/b, text: x, params: {max_tokens: 3}}"
    for workflow in (
        f"component: {inline}",
        f"job: {{component: {inline}}}",
        f"jobs: [{{component: {inline}}}]",
        f"job: {{type: for-each, input: [1], do: {{component: {inline}}}}}",
    ):
        job = load(f"workflow: {{{workflow}}}").spec.workflows[0].jobs[0]
        component = getattr(job, "do", job).component
        assert component.actions[0].max_output_length == 3


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "workflow: {jobs: [{}], repeat_count: 2}",
            "1:24: 'repeat_count' belongs on a job when a workflow has jobs (move it there)",
        ),
        ("hook: x", "1:1: 'hook' is not supported by mcnb (a compose file runs no code in mcnb)"),
        ("component: 5", "1:12: component: expected a mapping, got 5"),
    ],
)
def test_what_cannot_be_reconciled(text, problem):
    document = text if text.startswith("component") else f"{text}\ncomponent: {{model: a/b, text: x}}"

    assert said(document)[0] == problem
