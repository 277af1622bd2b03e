"""What every architecture keeps to, whether it is computed in company or by ``generate``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from mcnb.errors import RunCancelledError
from mcnb.models.control import Control
from mcnb.models.engine.attention import Segment
from mcnb.models.engine.fitness import forward_for
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.row_cache import RowCache
from mcnb.models.loaded import LoadedModel
from mcnb.models.owner import ModelOwner
from tests.models.calls import Gate, say

from .conftest import ALL, ALONE, BATCHED, Ask, Held, Load, submit, texts

Owners = Callable[[LoadedModel], ModelOwner]

LONG = "She walked through the quiet garden and told him about the beautiful house by the sea. "

ASKS = [
    Ask("Once upon a time", user={"max_output_length": 12}),
    Ask("The sea", 11, {"do_sample": True, "temperature": 1.3, "max_output_length": 20}),
    Ask(LONG, 12, {"do_sample": True, "top_k": 5, "top_p": 0.8, "max_output_length": 9}),
    Ask("a", user={"repetition_penalty": 1.7, "max_output_length": 16}),
    Ask("One day she", user={"min_output_length": 10, "max_output_length": 14}),
    Ask("He said", 13, {"do_sample": True, "stop_sequences": ["e", "a"], "max_output_length": 30}),
    Ask("Far away", 14, {"do_sample": True, "num_return_sequences": 3, "max_output_length": 10}),
    Ask(LONG[:50], user={"max_output_length": 24}),
]


def alone(owner: ModelOwner, asks: list[Ask]) -> list[list[str]]:
    return [texts(submit(owner, ask)) for ask in asks]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", ALL)
def test_a_text_does_not_depend_on_company(family: str, dtype: str, load: Load, owners: Owners) -> None:
    owner = owners(load(family, dtype))
    expected = alone(owner, ASKS)
    held = Held(owner)
    first = [submit(owner, ask) for ask in ASKS[:5]]
    gate = Gate()
    submit(owner, Ask("Stop here", user={"max_output_length": 4}), lambda text, tokens: gate.wait())
    held.gate.open()
    gate.arrived()
    late = [submit(owner, ask) for ask in [*ASKS[5:], *reversed(ASKS)]]
    gate.open()
    found = [texts(generation) for generation in (*first, *late)]
    assert found == [*expected, *reversed(expected)]


@pytest.mark.parametrize("family", ALL)
def test_greedy_and_seeded_texts_are_those_of_transformers(family: str, load: Load, owners: Owners) -> None:
    model = load(family)
    own = [say(model, ask.prompt, seed=ask.seed, **_user(ask)).result.texts for ask in ASKS]
    owner = owners(model)
    assert [texts(one) for one in [submit(owner, ask) for ask in ASKS]] == own


def _user(ask: Ask) -> dict[str, Any]:
    return {"do_sample": False, "num_beams": 1, **ask.user}


@pytest.mark.parametrize("family", ALL)
def test_it_is_known_which_are_computed_together(family: str, load: Load) -> None:
    assert set(ALL) == {*BATCHED, *ALONE}
    assert (forward_for(load(family)) is not None) == (family in BATCHED)


@pytest.mark.parametrize("family", ALL)
def test_pieces_are_the_text(family: str, load: Load, owners: Owners) -> None:
    owner = owners(load(family))
    pieces: list[list[str]] = [[] for _ in ASKS]
    counts: list[list[int]] = [[] for _ in ASKS]

    def listener(number: int) -> Callable[[str, int], None]:
        def listen(text: str, tokens: int) -> None:
            pieces[number].append(text)
            counts[number].append(tokens)

        return listen

    generations = [submit(owner, ask, listener(number)) for number, ask in enumerate(ASKS)]
    assert [texts(one)[0] for one in generations] == ["".join(some) for some in pieces]
    assert all(some == sorted(some) and some[0] == 1 for some in counts)


@pytest.mark.parametrize("family", ALL)
def test_one_is_cancelled_and_the_others_say_the_same(family: str, load: Load, owners: Owners) -> None:
    owner = owners(load(family))
    expected = alone(owner, ASKS)
    control = Control()

    def cancel(text: str, tokens: int) -> None:
        if tokens >= 3:
            control.cancel()

    generations = [submit(owner, ask) for ask in ASKS]
    cancelled = submit(
        owner, Ask("Never", user={"max_output_length": 60, "min_output_length": 60}), cancel, control=control
    )
    with pytest.raises(RunCancelledError):
        cancelled.future.result(120)
    assert cancelled.result.finish_reasons == ["cancelled"]
    assert 3 <= cancelled.result.output_tokens < 60
    assert [texts(one) for one in generations] == expected


@pytest.mark.parametrize("family", ALL)
def test_a_text_ends_where_it_is_said(family: str, load: Load, owners: Owners) -> None:
    owner = owners(load(family))
    ask = Ask("Once", 5, {"do_sample": True, "max_output_length": 30, "min_output_length": 30})
    whole = texts(submit(owner, ask))[0]
    stop = next(letter for letter in whole[4:] if letter.isprintable() and letter not in " \ufffd")
    stopped = submit(owner, Ask(ask.prompt, 5, {**ask.user, "stop_sequences": [stop]}))
    budget = submit(owner, Ask(ask.prompt, 5, {**ask.user, "min_output_length": 0, "max_output_length": 3}))
    assert texts(stopped)[0] == whole[: whole.index(stop)]
    assert stopped.result.finish_reasons == ["stop_sequence"]
    assert budget.future.result(120).output_tokens <= 3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("family", BATCHED)
def test_scores_are_the_same_bits_in_any_company(family: str, dtype: str, load: Load) -> None:
    forward = forward_for(load(family, dtype))
    assert forward is not None
    if forward.one_at_a_time:
        pytest.skip("this machine computes one sequence of it in a pass, so it has no company")
    lengths = [1, 2, 3, 7, 24, 25, 40, 63, 64, 5, 1, 30]
    prompts = [[(11 * length + 5 * place) % 250 + 3 for place in range(length)] for length in lengths]
    lonely = [_scores(forward, [prompt])[0] for prompt in prompts]
    for shift in (0, 5):
        turned = [*prompts[shift:], *prompts[:shift]]
        for found, expected in zip(_scores(forward, turned), [*lonely[shift:], *lonely[:shift]], strict=True):
            assert torch.equal(found, expected)


def _scores(forward: Forward, prompts: list[list[int]]) -> list[torch.Tensor]:
    """Return the scores behind each prompt, and behind five tokens more, computed one by one."""
    caches = [RowCache() for _ in prompts]
    ends = []
    for prompt in prompts:
        ends.append((ends[-1] if ends else -1) + len(prompt))
    found = [forward([Segment(c, 0, tuple(p)) for c, p in zip(caches, prompts, strict=True)], ends)]
    for token in (9, 4, 100, 100, 31):
        found.append(forward([Segment(c, c.length, (token,)) for c in caches], list(range(len(caches)))))
    return list(torch.stack(found, dim=1))
