"""Every YAML block of the guide stands in an example as it was written, is valid, and runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import yaml

import mcnb
from mcnb.errors import DocumentError, ModelNotFoundError, UnsafeModelError
from mcnb.runtime import Compose, Runtime
from tests.examples.guide import EXAMPLES, blocks, example, models
from tests.support.hub import StandInHub
from tests.support.runs import document

WRITTEN = {
    "other-parameters": "parameters",
    "adjusted-parameters": "tuning",
    "template": "prompt-template",
    "batch": "batch",
    "template-default": "default-template",
}
"""Blocks of the guide, and the example each stands in."""

PROMPT = "Once upon a time in a distant galaxy"


def quoted(block: str) -> str:
    """A block with its template in quotes, as YAML needs where a text holds ': '."""
    key, _, value = block.rstrip("\n").rpartition("text: ")
    return f"{key}text: '{value}'\n"


def as_written(name: str) -> Any:
    text = blocks()[name]
    return yaml.safe_load(quoted(text) if name == "template-default" else text)


def holds(whole: Any, part: Any) -> bool:
    """Whether a tree holds another: every key with its value, at the same place."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(key in whole and holds(whole[key], part[key]) for key in part)
    return bool(whole == part)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_block_stands_in_its_example(name: str) -> None:
    found = yaml.safe_load(example(WRITTEN[name]).read_text(encoding="utf-8"))
    block = as_written(name)
    assert holds(found, {"component": block} if "params" in block else block)


BEYOND = {"quickstart", "outline-and-expand", "scheduled-report"}
"""Examples of what the guide does not speak of, and of a model that needs no hub."""


def test_every_example_is_known() -> None:
    known = {*WRITTEN.values(), *BEYOND}
    assert {path.name for path in EXAMPLES.iterdir() if path.is_dir()} == {*known, "models", "workflows"}
    for folder in known:
        assert mcnb.load_document(EXAMPLES / folder).workflows


def test_the_two_models_of_one_block_are_two_examples() -> None:
    block = blocks()["different-model"]
    first, second = (line.split()[1] for line in block.splitlines() if "model: " in line and "/" in line)
    for model, folder in ((first, "models/dialogpt-small"), (second, "models/gpt-neo-1.3b")):
        alone = yaml.safe_load("\n".join(line for line in block.splitlines() if "/" not in line or model in line))
        assert holds(yaml.safe_load(example(folder).read_text(encoding="utf-8")), alone)
        assert alone["component"]["model"] == model


def test_as_written_the_two_models_are_one_key_twice() -> None:
    with pytest.raises(DocumentError) as caught:
        mcnb.load_document(text=blocks()["different-model"], name="guide.yml")
    assert str(caught.value) == (
        "guide.yml:6:3: the key 'model' stands twice; it is first set in line 4 (keep one of them)"
    )


def test_as_written_the_last_template_needs_quotes() -> None:
    with pytest.raises(DocumentError) as caught:
        mcnb.load_document(text=blocks()["template-default"], name="guide.yml")
    (problem,) = caught.value.problems
    assert problem.location is not None
    assert problem.location.line == 5
    assert problem.hint is not None
    assert "quotes" in problem.hint


# --- they run ---------------------------------------------------------------------------------------------------------


def load(name: str, runtime: Runtime) -> Compose:
    return mcnb.load(example(name), runtime=runtime)


def prompts_of(run: mcnb.Run) -> list[str | None]:
    return [item.prompt for item in run.record.generations]


def test_other_parameters(seed_hub: StandInHub, runtime: Runtime) -> None:
    run = load("parameters", runtime).run(prompt=PROMPT)
    assert run.output.startswith(PROMPT)
    assert run.record.usage.output_tokens > 0
    said = {name: item["value"] for name, item in run.record.generations[0].parameters.items()}
    for name, value in as_written("other-parameters")["params"].items():
        assert said[name] == value
    assert run.record.generations[0].model["name"] == "HuggingFaceTB/SmolLM3-3B"
    assert run.record.finish_reasons == ["eos"]


@pytest.mark.parametrize("name", ["models/dialogpt-small", "models/gpt-neo-1.3b"])
def test_different_models(seed_hub: StandInHub, runtime: Runtime, name: str) -> None:
    run = load(name, runtime).run(prompt=PROMPT)
    assert run.output.startswith(PROMPT)
    assert run.record.generations[0].model["revision"] == seed_hub.commit(run.record.generations[0].model["name"])


def test_adjusted_parameters(seed_hub: StandInHub, runtime: Runtime) -> None:
    loaded = load("tuning", runtime)
    assert [(item.name, item.required, item.default) for item in loaded.inputs()] == [
        ("prompt", True, None),
        ("temperature", False, 0.7),
        ("top_p", False, 0.9),
    ]
    for given, used in (({}, (0.7, 0.9)), ({"temperature": "1.1", "top_p": 0.5}, (1.1, 0.5))):
        run = loaded.run(prompt=PROMPT, input=given)
        said = run.record.generations[0].parameters
        assert (said["temperature"]["value"], said["top_p"]["value"]) == used
        assert said["max_output_length"] == {"value": 1024, "source": "document"}


def test_the_template(seed_hub: StandInHub, runtime: Runtime) -> None:
    run = load("prompt-template", runtime).run(instruction="Write a poem")
    prompt = "### Instruction:\nWrite a poem\n\n### Response:\n"
    assert prompts_of(run) == [prompt]
    assert run.output.startswith(prompt)


def test_the_batch(seed_hub: StandInHub, runtime: Runtime) -> None:
    run = load("batch", runtime).run(batch_size=3, prompts=["a", "b", "c"])
    assert prompts_of(run) == ["a", "b", "c"]
    assert [text[0] for text in run.output] == ["a", "b", "c"]
    assert runtime.cache.loads == 1


@pytest.mark.parametrize(
    ("given", "prompt"),
    [
        ({"topic": "dogs"}, "Generate text about: dogs"),
        ({"template": "Say hello"}, "Say hello"),
        ({"template": "Say hello", "topic": "dogs"}, "Say hello"),
    ],
)
def test_the_template_with_a_default(
    seed_hub: StandInHub, runtime: Runtime, given: dict[str, str], prompt: str
) -> None:
    assert prompts_of(load("default-template", runtime).run(input=given)) == [prompt]


def test_the_output_of_the_guide_is_the_prompt_and_its_continuation(seed_hub: StandInHub, runtime: Runtime) -> None:
    """The guide's own workflow, on its own model: ``generated``, "including the original prompt"."""
    run = load("models/smollm3-3b", runtime).submit(prompt=PROMPT)

    async def streamed() -> str:
        return "".join([piece async for piece in run.stream()])

    assert asyncio.run(streamed()) == run.result()["generated"]
    assert run.output["generated"].startswith(PROMPT)


# --- and so do all models it names ------------------------------------------------------------------------------------

PICKLED = {
    "microsoft/DialoGPT-large",
    "Salesforce/codegen-350M-mono",
    "facebook/blenderbot-400M-distill",
}
UNKNOWN = "HuggingFaceTB/SmolLM3-1.7B"


@pytest.mark.parametrize("name", sorted(models() - {UNKNOWN}))
def test_every_model_of_the_guide_runs(seed_hub: StandInHub, runtime: Runtime, name: str) -> None:
    if name in PICKLED:
        with pytest.raises(UnsafeModelError, match="set 'allow_pickle: true' on the component if you trust"):
            mcnb.load(text=document(name), runtime=runtime).run(prompt=PROMPT)
        assert not [request for request in seed_hub.requests if request.path.endswith(".bin")], "nothing is fetched"
    text = document(name, max_output_length=40, allow_pickle=name in PICKLED)
    run = mcnb.load(text=text, runtime=runtime).run(prompt=PROMPT)
    reply = name == "facebook/blenderbot-400M-distill"
    assert run.output.startswith(PROMPT) is not reply, "an encoder-decoder model gives its reply alone"
    assert run.output
    assert run.record.generations[0].output_tokens > 0


def test_the_model_that_never_existed_fails_with_a_suggestion(seed_hub: StandInHub, runtime: Runtime) -> None:
    with pytest.raises(ModelNotFoundError) as caught:
        mcnb.load(text=document(UNKNOWN), runtime=runtime).run(prompt=PROMPT)
    assert f"there is no repository {UNKNOWN}" in caught.value.message
    assert caught.value.hint is not None
    assert "HuggingFaceTB/SmolLM3-3B" in caught.value.hint


def test_a_second_run_needs_no_hub(seed_hub: StandInHub, runtime: Runtime) -> None:
    loaded = load("models/dialogpt-small", runtime)
    loaded.run(prompt=PROMPT, parameters={"max_output_length": 1})
    runtime.cache.unload()
    seed_hub.go_offline()
    assert loaded.run(prompt=PROMPT, parameters={"max_output_length": 1}).output.startswith(PROMPT)
