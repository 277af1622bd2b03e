"""``-f`` several times: a later file is laid over the earlier ones."""

from __future__ import annotations

import pytest

from mcnb.compose import load_document
from tests.compose.documents import refused


@pytest.fixture
def files(tmp_path):
    def write(*texts):
        paths = []
        for number, text in enumerate(texts):
            path = tmp_path / f"{number}.yml"
            path.write_text(text)
            paths.append(path)
        return paths

    return write


BASE = "component: {id: a, model: a/b, text: hello, params: {top_k: 5, stop_sequences: [x, y]}}\n"


def merged(files, *texts):
    return load_document(*files(*texts)).spec


def test_mappings_merge_and_lists_are_replaced(files):
    spec = merged(files, BASE, "component: {device: cpu, params: {top_p: 0.5, stop_sequences: [z]}}\n")
    (component,) = spec.components
    (action,) = component.actions

    assert (component.id, component.device) == ("a", "cpu")
    assert (action.params.top_k, action.params.top_p) == (5, 0.5)
    assert action.stop_sequences == ("z",)
    assert action.prompt.constant == "hello"


def test_the_last_of_three_wins(files):
    spec = merged(files, BASE, "component: {text: two}", "component: {text: three}")

    assert spec.components[0].actions[0].prompt.constant == "three"


@pytest.mark.parametrize(
    "over",
    [
        "component: {prompt: new, max_new_tokens: 7}",
        "component: {text: new, params: {max_output_length: 7}}",
        "component: {action: {prompt: new, max_tokens: 7}}",
        "component: {action: {text: new, params: {max_output_length: 7}}}",
    ],
)
def test_dialects_merge_with_each_other(files, over):
    bases = (
        "component: {id: a, model: a/b, text: old, params: {max_output_length: 5, top_k: 3}}",
        "component: {id: a, model: a/b, action: {prompt: old, max_output_length: 5, params: {top_k: 3}}}",
    )
    for base in bases:
        (component,) = merged(files, base, over).components
        (action,) = component.actions

        assert (component.id, action.prompt.constant, action.max_output_length) == ("a", "new", 7)
        assert action.params.top_k == 3


def test_controllers_of_two_dialects(files):
    spec = merged(files, BASE + "controller: {port: 1, host: h}", "controller: {adapter: {port: 2}}")

    assert [(adapter.host, adapter.port) for adapter in spec.controller.adapters] == [("h", 2)]


def test_a_list_replaces_one_and_one_replaces_a_list(files):
    one = "component: {id: new, model: c/d, text: new}"
    several = "components: [{id: x, default: true, model: x/x, text: x}, {id: y, model: y/y, text: y}]"

    assert [c.id for c in merged(files, BASE, several).components] == ["x", "y"]
    assert [c.id for c in merged(files, several, one).components] == ["new"]
    assert [c.id for c in merged(files, "components: [{id: x, model: x/x, text: x}]", one).components] == ["new"]


def test_an_output_goes_where_the_merged_workflow_wants_it(files):
    over = "workflow: {output: '${output}'}"

    flat = merged(files, BASE + "workflow: {input: {prompt: a}}", over).workflows[0]
    with_jobs = merged(files, BASE + "workflow: {jobs: [{id: a}]}", over).workflows[0]

    assert (str(flat.jobs[0].output), flat.output) == ("${output}", None)
    assert (with_jobs.jobs[0].output, str(with_jobs.output)) == (None, "${output}")


def test_workflows_jobs_and_inline_components(files):
    spec = merged(
        files,
        "workflow: {job: {component: {model: a/b, text: old}, repeat_count: 2}}",
        "workflow: {title: T, job: {component: {text: new}}}",
    )
    (job,) = spec.workflows[0].jobs

    assert (spec.workflows[0].title, job.repeat_count) == ("T", 2)
    assert job.component.actions[0].prompt.constant == "new"


def test_null_replaces(files):
    assert merged(files, BASE, "component: {params: null, stop_sequences: null}", "component: {params: {}}")


def test_problems_name_the_file_they_stand_in(files):
    one, two = files(BASE + "componen: 1\n", "component:\n  params: {top_p: 5}\n")

    assert [str(problem) for problem in refused(one, two).problems] == [
        f"{one}:2:1: unknown key 'componen' (did you mean 'component'?)",
        f"{two}:2:19: top_p: must be at most 1, got 5",
    ]


def test_every_unreadable_file_is_told(files, tmp_path):
    one, two = files("a: [", BASE)
    missing = tmp_path / "no.yml"

    assert [problem.location.file for problem in refused(one, two, missing).problems] == [str(one), str(missing)]


def test_one_file_keeps_its_words_and_several_meet_in_the_common_shape(files):
    one, two = files(BASE, "component: {text: new}")

    assert load_document(one).source["component"]["text"] == "hello"
    assert load_document(one, two).source["components"][0]["actions"][0]["prompt"] == "new"
    assert load_document(one, two).files == (str(one), str(two))
    assert load_document(one, two).digest != load_document(one).digest
