"""Which inputs a workflow asks for when jobs pass them on."""

from __future__ import annotations

import pytest

from tests.compose.documents import brief, load


def inputs(text, workflow=None):
    return load(text).inputs(workflow)


ACTION = """
component:
  id: c
  model: a/b
  text: ${input.prompt as text @(description What to say)}
  params: {temperature: "${input.temperature as number | 0.7 @(range 0..2)}", seed: "${input.seed as integer}"}
"""


class TestThroughJobs:
    @pytest.mark.parametrize(
        "workflow",
        ["", "workflow: {}", "workflow: {title: x}", "workflow: {input: '${input}'}", "workflow: {job: {}}"],
    )
    def test_the_whole_input_is_passed_on(self, workflow):
        assert brief(inputs(ACTION + workflow)) == [
            ("prompt", "text", True),
            ("temperature", "number", False),
            ("seed", "integer", True),
        ]

    def test_only_what_a_job_passes_on_is_asked_for(self):
        found = inputs(ACTION + "workflow: {input: {prompt: hello}}")

        assert brief(found) == []

    def test_a_passed_input_takes_the_words_of_the_action(self):
        found = inputs(ACTION + "workflow: {input: {prompt: '${input.question}', temperature: '${input.heat}'}}")
        question, heat = found

        assert (str(question.type), question.declared, question.required) == ("text", True, True)
        assert question.description == "What to say"
        assert (str(heat.type), heat.declared, heat.required) == ("number", True, False)
        assert (heat.default, heat.default_text, heat.range) == (0.7, "0.7", (0.0, 2.0))

    def test_but_its_own_words_win(self):
        (heat,) = inputs(
            ACTION + "workflow: {input: {temperature: '${input.heat as integer | 1 @(description Heat)}'}}"
        )

        assert (str(heat.type), heat.default, heat.description, heat.range) == ("integer", 1, "Heat", (0.0, 2.0))

    def test_an_untyped_default_of_its_own_wins_too(self):
        (heat,) = inputs(ACTION + "workflow: {input: {temperature: '${input.heat | 1.5}'}}")

        assert (str(heat.type), heat.default, heat.required) == ("number", 1.5, False)

    def test_typed_and_optional_because_the_action_has_a_default(self):
        (heat,) = inputs(ACTION + "workflow: {input: {temperature: '${input.heat as number}'}}")

        assert (heat.required, heat.default) == (False, 0.7)

    def test_optional_because_it_is_only_a_default_of_the_action(self):
        text = """
component: {model: a/b, text: "${input.a | ${input.b}}"}
workflow: {input: {b: "${input.x}"}}
"""
        assert brief(inputs(text)) == [("x", "text", False)]

    def test_needed_elsewhere_stays_needed(self):
        found = inputs(ACTION + "workflow: {input: {prompt: 'at ${input.heat}', seed: '${input.heat}'}}")

        assert brief(found) == [("heat", "integer", True)]

    def test_parts_and_mixtures_are_asked_for_as_they_stand(self):
        found = inputs(
            ACTION
            + "workflow: {input: {prompt: 'a ${input.b} ${input.c | d}', seed: '${input.rows[0]}', x: ['${input.y}']}}"
        )

        assert brief(found) == [
            ("b", "text", True),
            ("c", "text", False),
            ("rows", "list", True),
            ("y", "text", True),
        ]

    def test_inside_the_default_of_what_is_passed_on(self):
        found = inputs(ACTION + "workflow: {input: {prompt: '${input.a | ${input.b}}'}}")

        assert brief(found) == [("a", "text", False), ("b", "text", False)]

    def test_spread(self):
        found = inputs(ACTION + 'workflow: {input: {"...": "${input}", seed: 5, extra: "${input.e}"}}')

        assert brief(found) == [
            ("prompt", "text", True),
            ("temperature", "number", False),
            ("seed", "integer", True),
            ("e", "text", True),
        ]
        assert not found.open

    def test_the_whole_input_as_one_value(self):
        found = inputs(ACTION + "workflow: {input: {prompt: '${input}'}}")

        assert found.open
        assert "prompt" not in found.names

    def test_outputs_of_other_jobs_are_no_inputs(self):
        found = inputs(
            ACTION
            + """
workflow:
  jobs:
    - {id: one, input: {prompt: "${input.a}", seed: 1}, output: "${output} ${input.b}"}
    - {id: two, depends_on: [one], input: {prompt: "${jobs.one.output}"}, repeat_count: "${input.n}"}
  output: {all: "${jobs.two.output} ${input.c}"}
"""
        )

        assert brief(found) == [
            ("a", "text", True),
            ("b", "text", True),
            ("n", "integer", True),
            ("c", "text", True),
        ]

    def test_the_batch_of_the_seed(self):
        found = inputs(
            ACTION + "workflow: {repeat_count: '${input.batch_size}', input: {prompt: '${input.prompts[${index}]}'}}"
        )

        assert brief(found) == [("batch_size", "integer", True), ("prompts", "list", True)]

    def test_for_each_asks_for_its_list_and_not_for_the_items(self):
        found = inputs(
            ACTION
            + """
workflow:
  job:
    type: for-each
    input: ${input.rows}
    batch_size: ${input.parallel | 4}
    do: {input: {prompt: "${item} ${input.style}", temperature: "${input.heat}"}}
    output: ${input.title}
"""
        )

        assert brief(found) == [
            ("rows", "list", True),
            ("parallel", "integer", False),
            ("style", "text", True),
            ("heat", "number", False),
            ("title", "text", True),
        ]

    def test_every_place_of_every_job(self):
        found = inputs(
            ACTION
            + """
workflow:
  jobs:
    - id: one
      input: {prompt: "${input.a}"}
      on_error: {output: "${input.b}"}
      interrupt: {before: {condition: "${input.c}", message: "${input.d}", metadata: {x: "${input.e}"}}}
    - id: two
      type: if
      input: ${input.f}
      conditions: [{input: "${input.g}", value: "${input.h}", if_true: one}]
    - {id: three, type: switch, input: "${input.i}", cases: [{value: "${input.j}", then: one}]}
    - {id: four, type: filter, input: "${input.k}", where: {not: {all: [{value: "${input.l}"}]}}}
    - {id: five, type: delay, duration: "${input.m}", output: "${input.n}"}
"""
        )

        assert "".join(found.names) == "abcdefghijklmn"

    def test_each_workflow_has_its_own(self):
        text = (
            ACTION
            + "workflows: [{id: a, default: true, input: {prompt: '${input.x}'}}, "
            + "{id: b, input: {prompt: '${input.y}'}}]"
        )

        assert inputs(text).names == ("x",)
        assert inputs(text, "b").names == ("y",)

    def test_the_called_action_counts(self):
        text = """
components:
  - {id: one, model: a/b, text: "${input.x}"}
  - {id: two, model: a/b, actions: [{id: p, prompt: "${input.y}"}, {id: q, prompt: "${input.z}", default: true}]}
workflows:
  - {id: a, component: one}
  - {id: b, component: two}
  - {id: c, component: two, action: p}
  - {id: d, component: {model: a/b, text: "${input.w}"}}
"""

        assert [inputs(text, name).names for name in "abcd"] == [("x",), ("z",), ("y",), ("w",)]
