"""The model's context: nothing is cut off silently."""

from __future__ import annotations

from pathlib import Path

import pytest

from mcnb.errors import ContextOverflowError, InvalidInputError
from mcnb.models.loaded import LoadedModel, find_context_length
from tests.support import tiny_models

from .calls import load_folder, say
from .conftest import CAUSAL, ENCODER_DECODER, MAKERS, Loaded

CONTEXT = 32
GREEDY = {"do_sample": False, "num_beams": 1}


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> dict[str, LoadedModel]:
    """Models with a context of 32 tokens."""
    root = tmp_path_factory.mktemp("short")
    return {name: load_folder(MAKERS[name](root / name, context=CONTEXT)) for name in (*CAUSAL, *ENCODER_DECODER)}


def prompt_of(model: LoadedModel, length: int) -> str:
    """A text of so many tokens."""
    text = ""
    while len(model.tokenizer(text)["input_ids"]) < length:
        text += "\n"
    assert len(model.tokenizer(text)["input_ids"]) == length
    return text


@pytest.mark.parametrize(
    ("name", "context"),
    [
        ("smollm3", 65536),
        ("gpt2_dialog", 1024),
        ("gpt_neo", 2048),
        ("codegen", 2048),
        ("llama", 512),
        ("blenderbot", 128),
        ("t5", None),
    ],
)
def test_contexts(name: str, context: int | None, loaded: Loaded) -> None:
    model = loaded(name)
    assert model.context_length == context
    assert find_context_length(model.model, model.tokenizer) == context


@pytest.mark.parametrize("name", CAUSAL)
def test_the_output_budget_is_what_the_context_leaves(name: str, short: dict[str, LoadedModel]) -> None:
    model = short[name]
    length = 10
    said = say(model, prompt_of(model, length), max_output_length=100, **GREEDY)
    assert said.result.prompt_tokens == length
    assert said.result.output_budget == CONTEXT - length
    assert said.result.clamped
    assert said.result.output_tokens == CONTEXT - length
    assert said.reason == "context_full"


@pytest.mark.parametrize("name", CAUSAL)
def test_a_budget_that_fits_is_not_clamped(name: str, short: dict[str, LoadedModel]) -> None:
    model = short[name]
    said = say(model, prompt_of(model, 10), max_output_length=CONTEXT - 10, **GREEDY)
    assert not said.result.clamped
    assert said.reason == "max_output_length"
    assert said.result.output_budget == said.result.output_tokens == CONTEXT - 10


@pytest.mark.parametrize("name", CAUSAL)
def test_room_for_one_token(name: str, short: dict[str, LoadedModel]) -> None:
    model = short[name]
    said = say(model, prompt_of(model, CONTEXT - 1), max_output_length=5, **GREEDY)
    assert said.result.output_tokens == 1
    assert said.reason == "context_full"


@pytest.mark.parametrize("name", CAUSAL)
@pytest.mark.parametrize("over", [0, 1, 20])
def test_a_prompt_that_fills_the_context_is_refused(name: str, over: int, short: dict[str, LoadedModel]) -> None:
    model = short[name]
    with pytest.raises(ContextOverflowError, match=rf"the prompt has {CONTEXT + over} tokens and {name} can see 32"):
        say(model, prompt_of(model, CONTEXT + over))


def test_an_encoder_reads_a_prompt_as_long_as_its_context(short: dict[str, LoadedModel]) -> None:
    model = short["blenderbot"]
    said = say(model, prompt_of(model, CONTEXT), max_output_length=100, **GREEDY)
    assert said.result.prompt_tokens == CONTEXT
    assert said.result.output_budget == CONTEXT - 1  # the decoder's start token
    assert said.result.clamped
    with pytest.raises(ContextOverflowError, match="33 tokens"):
        say(model, prompt_of(model, CONTEXT + 1))


def test_relative_positions_have_no_limit(short: dict[str, LoadedModel]) -> None:
    model = short["t5"]
    prompt = "Tyger " * 40
    said = say(model, prompt, max_output_length=50, **GREEDY)
    assert said.result.prompt_tokens > CONTEXT
    assert said.result.output_tokens == 50
    assert not said.result.clamped


def test_the_documents_own_limit(loaded: Loaded) -> None:
    with pytest.raises(ContextOverflowError, match=r"the prompt has 12 tokens and max_input_length is 11"):
        say(loaded("gpt_neo"), prompt_of(loaded("gpt_neo"), 12), max_input_length=11)
    assert say(loaded("gpt_neo"), prompt_of(loaded("gpt_neo"), 11), max_input_length=11, max_output_length=1)


@pytest.mark.parametrize("name", ["smollm3", "gpt2_dialog", "gpt_neo", "codegen"])
def test_an_empty_prompt_is_refused(name: str, loaded: Loaded) -> None:
    with pytest.raises(InvalidInputError, match="the prompt is empty"):
        say(loaded(name), "")


@pytest.mark.parametrize("name", ["llama", *ENCODER_DECODER])
def test_a_tokenizer_that_adds_tokens_makes_an_empty_prompt_one(name: str, loaded: Loaded) -> None:
    assert say(loaded(name), "", max_output_length=3, **GREEDY).result.output_tokens == 3


def test_a_very_long_prompt_is_counted_not_run(short: dict[str, LoadedModel]) -> None:
    with pytest.raises(ContextOverflowError, match=r"[0-9]{2},[0-9]{3} tokens"):
        say(short["gpt_neo"], "Once upon a time " * 5000)


def test_the_minimum_gives_way_to_the_context(tmp_path: Path) -> None:
    model = load_folder(tiny_models.gpt_neo(tmp_path / "neo", context=CONTEXT, eos_bias=50))
    said = say(model, prompt_of(model, 20), min_output_length=50, max_output_length=60, **GREEDY)
    assert said.result.output_tokens == 12
    assert said.reason == "context_full"
