"""A generation stops where it is told to: before it starts, within the prompt, between two tokens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import InternalError, McnbError, OutOfMemoryError, RunCancelledError, RunTimeoutError
from mcnb.models.control import Control
from mcnb.models.generation import GenerationResult, generate
from mcnb.models.loaded import LoadedModel, layers

from .calls import PROMPT, parameters, say
from .conftest import MAKERS, Loaded

OPTIONS = {"num_beams": 1, "max_output_length": 60, "min_output_length": 60}


def run(
    model: LoadedModel, control: Control, on_text: Callable[[str, int], None] = lambda text, tokens: None, **user: Any
) -> tuple[GenerationResult, McnbError | None]:
    result = GenerationResult()
    given = parameters(model, **{**OPTIONS, **user})
    try:
        generate(model, PROMPT, given, control=control, on_text=on_text, result=result)
    except McnbError as error:
        return result, error
    return result, None


@pytest.mark.parametrize("name", MAKERS)
def test_before_it_starts(name: str, loaded: Loaded) -> None:
    model, control = loaded(name), Control()
    control.cancel()
    calls: list[int] = []
    handle = model.model.register_forward_hook(lambda *_: calls.append(1))
    result, error = run(model, control)
    handle.remove()
    assert isinstance(error, RunCancelledError)
    assert result.finish_reasons == ["cancelled"]
    assert result.texts == [""]
    assert result.output_tokens == 0
    assert not calls


@pytest.mark.parametrize("name", MAKERS)
def test_within_the_prompt(name: str, loaded: Loaded) -> None:
    model, control = loaded(name), Control()
    stack = list(layers(model.model))
    assert len(stack) >= 2
    reached: list[int] = []

    def note(*_: object) -> None:
        if control.stopped:
            reached.append(1)

    handles = [layer.register_forward_hook(note) for layer in stack]
    handles.append(stack[0].register_forward_hook(lambda *_: control.cancel()))
    result, error = run(model, control)
    for handle in handles:
        handle.remove()
    assert isinstance(error, RunCancelledError)
    assert not reached  # not one layer more
    assert result.output_tokens == 0
    assert result.first_token_seconds is None


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("sampled", [False, True], ids=["greedy", "sampled"])
def test_between_two_tokens(name: str, sampled: bool, loaded: Loaded) -> None:
    model, control, pieces = loaded(name), Control(), []
    steps: list[int] = []
    handle = model.model.register_forward_hook(lambda *_: steps.append(1))

    def on_text(text: str, tokens: int) -> None:
        pieces.append(text)
        if tokens >= 7:
            control.cancel()

    whole = say(model, do_sample=sampled, **OPTIONS)
    steps.clear()
    result, error = run(model, control, on_text, do_sample=sampled)
    handle.remove()
    assert isinstance(error, RunCancelledError)
    assert result.finish_reasons == ["cancelled"]
    assert 7 <= result.output_tokens < 60
    assert len(steps) == result.output_tokens  # not one step more
    assert "".join(pieces) == result.texts[0]
    kept = result.texts[0].rstrip("\N{REPLACEMENT CHARACTER}")
    assert whole.text.startswith(kept)
    assert say(model, do_sample=sampled, **OPTIONS).text == whole.text  # the next one is as ever


def test_a_time_limit_is_told_apart(loaded: Loaded) -> None:
    control = Control()
    result, error = run(loaded("gpt_neo"), control, lambda text, tokens: control.expire(0.5))
    assert isinstance(error, RunTimeoutError)
    assert "limit of 0.5 s" in error.message
    assert result.finish_reasons == ["timeout"]


def test_what_was_held_back_is_kept(loaded: Loaded) -> None:
    model, control = loaded("gpt_neo"), Control()
    whole = say(model, do_sample=False, **OPTIONS).text
    pieces: list[str] = []

    def on_text(text: str, tokens: int) -> None:
        pieces.append(text)
        if tokens == 1:
            model.model.lm_head.register_forward_hook(stop)

    def stop(module: Any, *_: object) -> None:
        module._forward_hooks.clear()
        control.cancel()

    result, error = run(model, control, on_text, do_sample=False, stop_sequences=[whole[:3] + "never"])
    assert isinstance(error, RunCancelledError)
    assert whole.startswith(result.texts[0])
    assert result.texts[0]  # held back as it could have become the stop sequence
    assert "".join(pieces) == result.texts[0]


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [(ZeroDivisionError("the head fell off"), InternalError), (MemoryError(), OutOfMemoryError)],
    ids=["defect", "memory"],
)
def test_an_exception_keeps_what_was_said(raised: Exception, becomes: type[McnbError], loaded: Loaded) -> None:
    model, pieces = loaded("gpt_neo"), []
    calls: list[int] = []

    def fail(*_: object) -> None:
        calls.append(1)
        if len(calls) == 10:
            raise raised

    handle = model.model.register_forward_hook(fail)
    result, error = run(model, Control(), lambda text, tokens: pieces.append(text), do_sample=False)
    handle.remove()
    assert isinstance(error, becomes)
    assert error.__cause__ is raised
    assert result.texts[0] == "".join(pieces) != ""
    assert result.output_tokens == 9
    assert result.finish_reasons == []
    assert say(model, do_sample=False, **OPTIONS).text.startswith(result.texts[0].rstrip("\N{REPLACEMENT CHARACTER}"))
