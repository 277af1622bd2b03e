"""Every YAML block of the text that mcnb was made for, as it stands there."""

from __future__ import annotations

import pytest

from mcnb.compose import load_document
from mcnb.compose.expressions import render
from tests.compose.documents import DATA, load, refused

SEED = DATA / "seed"

QUICK_START = """
controller:
  type: http-server
  port: 8080
  base_path: /api
  webui:
    driver: gradio
    port: 8081

workflow:
  title: Generate Text from Prompt
  description: Generate text based on a given prompt using a pretrained language model.
  input: ${input}
  output:
    generated: ${output as text}

component:
  type: model
  task: text-generation
  model: HuggingFaceTB/SmolLM3-3B
  text: ${input.prompt as text}
  params:
    max_output_length: 32768
"""


def action(document):
    return document.spec.components[0].actions[0]


def test_the_file_beside_the_text():
    document = load(QUICK_START)
    (prompt,) = document.inputs()

    assert (prompt.name, str(prompt.type), prompt.required) == ("prompt", "text", True)
    assert action(document).max_output_length == 32768
    assert document.spec.controller.adapters[0].base_path == "/api"
    assert render(document.workflow().jobs[0].output, {"output": "text"}) == {"generated": "text"}


def test_adjusting_generation_parameters():
    document = load_document(SEED / "generation-parameters.yml")
    found = {item.name: (str(item.type), item.required, item.default) for item in document.inputs()}

    assert found == {
        "prompt": ("text", True, None),
        "temperature": ("number", False, 0.7),
        "top_p": ("number", False, 0.9),
    }
    assert (action(document).max_output_length, action(document).params.do_sample) == (1024, True)


def test_prompt_template():
    document = load_document(SEED / "prompt-template.yml")

    assert document.inputs().names == ("instruction",)
    assert render(action(document).prompt, {"input": {"instruction": "Sing."}}) == (
        "### Instruction:\nSing.\n\n### Response:\n"
    )


def test_other_parameters_belong_to_a_component(tmp_path):
    fragment = SEED / "other-parameters.yml"
    indented = "".join(f"  {line}\n" for line in fragment.read_text(encoding="utf-8").splitlines())
    path = tmp_path / "model-compose.yml"
    path.write_text("component:\n  model: a/b\n  text: ${input.prompt as text}\n" + indented, encoding="utf-8")

    found = action(load_document(path))

    assert (found.max_output_length, found.params.temperature, found.params.top_p) == (32768, 0.7, 0.9)
    assert (found.params.top_k, found.params.repetition_penalty, found.params.do_sample) == (50, 1.1, True)
    assert str(refused(fragment)) == f"{fragment}:1:1: unknown key 'params' (it belongs under 'component:')"


def test_a_different_model_is_one_of_two():
    path = SEED / "different-model.yml"

    assert str(refused(path)) == (
        f"{path}:6:3: the key 'model' stands twice; it is first set in line 4 (keep one of them)"
    )


@pytest.mark.parametrize("gone", [4, 6])
def test_either_of_the_two_models_will_do(gone):
    lines = (SEED / "different-model.yml").read_text(encoding="utf-8").splitlines()
    kept = [line for number, line in enumerate(lines, start=1) if number != gone]
    document = load("\n".join(kept))

    assert document.component().model.repository in ("microsoft/DialoGPT-small", "EleutherAI/gpt-neo-1.3B")
    (prompt,) = document.inputs()
    assert (prompt.name, str(prompt.type), prompt.required) == ("prompt", "text", True)


def test_batch():
    batch = (SEED / "batch.yml").read_text(encoding="utf-8")
    path = SEED / "batch.yml"
    assert str(refused(path)) == (
        f"{path}:5:18: there is no component 'text-generator' (add a 'component:' with this id)"
    )

    document = load(batch + "component: {id: text-generator, model: a/b, text: '${input.prompt as text}'}")
    (job,) = document.workflow().jobs
    values = {"prompts": ["a", "b"], "batch_size": 2}

    assert [(item.name, str(item.type), item.required) for item in document.inputs()] == [
        ("batch_size", "integer", True),
        ("prompts", "list", True),
    ]
    assert render(job.repeat_count, {"input": values}) == 2
    assert [render(job.input, {"input": values, "index": index}) for index in range(2)] == [
        {"prompt": "a"},
        {"prompt": "b"},
    ]


def test_template_with_a_default_needs_quotes():
    """As it stands there it is no YAML: ``: `` inside an unquoted value. The message says what to write."""
    path = SEED / "template-with-default.yml"
    error = refused(path)
    written = "text: '${input.template | \"Generate text about: ${input.topic}\"}'"

    assert str(error) == (
        f"{path}:5:48: not valid YAML: mapping values are not allowed in this context "
        f"(a value that holds ': ' has to stand in quotes: {written})"
    )

    document = load("component:\n  model: HuggingFaceTB/SmolLM3-3B\n  " + written)
    prompt = action(document).prompt

    assert [(item.name, item.required) for item in document.inputs()] == [("template", False), ("topic", False)]
    assert render(prompt, {"input": {"topic": "dogs"}}) == "Generate text about: dogs"
    assert render(prompt, {"input": {"template": "Sing ${input.topic}", "topic": "dogs"}}) == "Sing ${input.topic}"
