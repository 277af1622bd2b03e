"""Searching with beams: by the model's own wish, or the document's."""

from __future__ import annotations

import pytest
import torch

from mcnb.errors import RunCancelledError
from mcnb.models.control import Control
from mcnb.models.generation import GenerationResult, generate

from .calls import PROMPT, parameters, say
from .conftest import Loaded
from .test_generation import alone, text_of


def test_blenderbot_searches_as_its_own_config_says(loaded: Loaded) -> None:
    model = loaded("blenderbot")
    given = parameters(model)
    assert given["num_beams"] == 10
    assert given["do_sample"] is False
    assert given["min_output_length"] == 19  # its 20 count the start token
    assert given["max_output_length"] == 59
    assert {given.origins[name] for name in ("num_beams", "do_sample", "length_penalty")} == {"model"}
    said = say(model)
    assert said.text == text_of(model, PROMPT, alone(model, PROMPT, max_length=60))
    assert said.result.output_tokens >= 19
    assert "".join(said.pieces) == said.text


@pytest.mark.parametrize("name", ["gpt_neo", "llama", "t5", "smollm3"])
def test_beams_find_what_transformers_finds(name: str, loaded: Loaded) -> None:
    model = loaded(name)
    said = say(model, num_beams=3, do_sample=False, max_output_length=12, length_penalty=0.5, early_stopping=True)
    own = {"num_beams": 3, "do_sample": False, "max_new_tokens": 12, "length_penalty": 0.5, "early_stopping": True}
    assert said.text == text_of(model, PROMPT, alone(model, PROMPT, **own))
    assert said.reason == "max_output_length"


def test_the_best_sequences(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    options = {"num_beams": 4, "do_sample": False, "max_output_length": 8}
    one, three = say(model, **options), say(model, **options, num_return_sequences=3)
    assert three.result.texts[0] == one.text
    assert len(three.result.texts) == 3
    assert len(set(three.result.texts)) > 1  # two rows of tokens may read the same
    assert three.result.finish_reasons == ["max_output_length"] * 3
    assert three.result.output_tokens == 24


def test_nothing_is_streamed_before_the_best_is_known(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    pieces: list[str] = []
    steps: list[int] = []
    counts: list[int] = []
    handle = model.model.register_forward_hook(lambda *_: steps.append(len("".join(pieces))))
    result = GenerationResult()
    generate(
        model,
        PROMPT,
        parameters(model, num_beams=2, do_sample=False, max_output_length=6),
        control=Control(),
        on_text=lambda text, tokens: (pieces.append(text), counts.append(tokens)),
        result=result,
    )
    handle.remove()
    assert set(steps) == {0}
    assert "".join(pieces) == result.texts[0]
    assert counts[:6] == [1, 2, 3, 4, 5, 6], "how far it is, is told"
    assert set(counts[6:]) == {6}


def test_stop_sequences_are_trimmed(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    options = {"num_beams": 2, "do_sample": False, "max_output_length": 12}
    whole = say(model, **options).text
    stop = whole[5:8]
    stopped = say(model, **options, stop_sequences=[stop])
    assert stopped.text == whole[: whole.index(stop)]
    assert stopped.reason == "stop_sequence"


def test_sampled_beams_have_a_seed_and_leave_the_shared_generator_alone(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    options = {"num_beams": 2, "do_sample": True, "temperature": 2.0, "max_output_length": 12}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    first, again, other = say(model, **options), say(model, **options), say(model, **options, seed=8)
    assert torch.equal(torch.get_rng_state(), before)
    assert first.text == again.text != other.text
    assert not first.result.batch_invariant


def test_beams_can_be_cancelled(loaded: Loaded) -> None:
    model, control = loaded("gpt_neo"), Control()
    counted: list[int] = []

    def step(*_: object) -> None:
        counted.append(1)
        if len(counted) == 3:
            control.cancel()

    handle = model.model.register_forward_hook(step)
    with pytest.raises(RunCancelledError):
        say(model, num_beams=2, do_sample=False, max_output_length=50, control=control)
    handle.remove()
    assert len(counted) == 3
