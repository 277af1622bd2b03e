"""Slabs: texts come, grow out of one into the next, and leave; each has the same bits as if there were none but it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from mcnb.models.engine import slab_attention
from mcnb.models.engine.attention import Segment
from mcnb.models.engine.fitness import forward_for
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.row_cache import RowCache
from mcnb.models.engine.slabs import ROOMS, Slab, Slabs, room_for
from mcnb.models.engine.turns import Turn

from .conftest import Load

LENGTHS = [3, 60, 61, 62, 63, 64, 65, 100, 124, 127, 128, 129, 200, 254, 255, 20]
STEPS = 10


def ids(length: int, number: int) -> list[int]:
    return [(11 * number + 5 * place) % 250 + 3 for place in range(length)]


class Growing:
    """A sequence whose next tokens are known."""

    def __init__(self, length: int, number: int) -> None:
        self.tokens = ids(length + STEPS, number)
        self.length = length
        self.cache = RowCache()

    def begin(self, forward: Forward) -> None:
        forward([Segment(self.cache, 0, tuple(self.tokens[: self.length]))], [])

    @property
    def segment(self) -> Segment:
        at = self.cache.length
        return Segment(self.cache, at, (self.tokens[at],), grows=True)

    @property
    def where(self) -> tuple[int, int]:
        return (self.cache.slab.room, self.cache.slot) if self.cache.slab is not None else (10**9, 0)


def step(forward: Forward, growing: Sequence[Growing]) -> list[Any]:
    """Compute a token of each, in the order in which the engine does, and return their scores."""
    ordered = sorted(growing, key=lambda one: one.where)
    scores = forward([one.segment for one in ordered], range(len(ordered)))
    found = {id(one): row.clone() for one, row in zip(ordered, scores, strict=True)}
    return [found[id(one)] for one in growing]


def alone(forward: Forward, length: int, number: int) -> list[Any]:
    one = Growing(length, number)
    one.begin(forward)
    found = [step(forward, [one])[0] for _ in range(STEPS)]
    one.cache.leave()
    assert forward.slabs is not None
    forward.slabs.tidy()
    return found


@pytest.fixture
def forward(load: Load, request: pytest.FixtureRequest) -> Forward:
    family, dtype = getattr(request, "param", ("llama", "float32"))
    made = forward_for(load(family, dtype))
    assert made is not None
    if made.slabs is None:
        pytest.skip("this machine computes the attention of each sequence apart")
    return made


FAMILIES = [
    (family, dtype) for family in ("llama", "gemma3", "mistral", "gpt2_dialog") for dtype in ("float32", "bfloat16")
]


@pytest.mark.parametrize("forward", FAMILIES, indirect=True, ids="-".join)
@pytest.mark.parametrize("seed", [1, 2])
def test_coming_growing_and_leaving_change_nothing(forward: Forward, seed: int) -> None:
    draw = random.Random(seed)
    longest = min(256, forward._loaded.context_length or 256) - STEPS
    lengths = [length for length in LENGTHS if length <= longest]
    expected = [alone(forward, length, number) for number, length in enumerate(lengths)]
    waiting = list(range(len(lengths)))
    draw.shuffle(waiting)
    there: dict[int, Growing] = {}
    done: dict[int, int] = dict.fromkeys(waiting, 0)
    compared = together = 0
    while waiting or there:
        for _ in range(min(len(waiting), draw.randrange(4))):
            number = waiting.pop()
            there[number] = Growing(lengths[number], number)
            there[number].begin(forward)
        if not there:
            continue
        together = max(together, len(there))
        for number, scores in zip(list(there), step(forward, list(there.values())), strict=True):
            assert torch.equal(scores, expected[number][done[number]]), (lengths[number], done[number])
            compared += 1
            done[number] += 1
            if done[number] == STEPS or draw.random() < 0.05:
                there.pop(number).cache.leave()
        assert forward.slabs is not None
        forward.slabs.tidy()
    assert compared > 2 * len(lengths)
    assert together > 3


@pytest.mark.parametrize("forward", FAMILIES, indirect=True, ids="-".join)
def test_it_is_the_attention_of_one_after_the_other(forward: Forward) -> None:
    slabs, length = forward.slabs, min(61, (forward._loaded.context_length or 256) - STEPS)
    found = alone(forward, length, 1)
    forward.slabs = None
    try:
        one = Growing(length, 1)
        one.begin(forward)
        apart = [step(forward, [one])[0] for _ in range(STEPS)]
    finally:
        forward.slabs = slabs
    for with_slabs, without in zip(found, apart, strict=True):
        assert torch.allclose(with_slabs.float(), without.float(), atol=0.05, rtol=0.05)
        near = with_slabs.float().softmax(-1) - without.float().softmax(-1)
        assert near.abs().max() < 0.01


def test_the_longest_keep_to_themselves(load: Load) -> None:
    assert [room_for(tokens) for tokens in (1, 64, 65, ROOMS[-1], ROOMS[-1] + 1)] == [64, 64, 128, ROOMS[-1], None]
    slab, cache = Slab(ROOMS[-1]), RowCache()
    cache.put(0, 0, *(2 * [torch.arange(8.0).reshape(1, 1, 8, 1)]))
    cache.length = 8
    slab.enter([cache])
    assert cache.memory == slab.bytes_per_row
    Slabs(4).place([(cache, ROOMS[-1] + 1)])
    assert cache.slab is None
    assert cache.layers()[0][0].flatten().tolist() == list(range(8))
    assert slab.caches == [None]


def test_guesses_are_looked_at_as_tokens_of_their_own(forward: Forward) -> None:
    """Also those that would stand in the next larger slab."""
    lengths = [61, 62, 63, 64]
    expected = [alone(forward, length, number) for number, length in enumerate(lengths)]
    growing = [Growing(length, number) for number, length in enumerate(lengths)]
    for one in growing:
        one.begin(forward)
    segments = [
        Segment(one.cache, one.length + offset, (one.tokens[one.length + offset],), grows=True)
        for one in growing
        for offset in range(4)
    ]
    scores = forward(segments, range(len(segments)))
    for number in range(len(growing)):
        for offset in range(4):
            assert torch.equal(scores[4 * number + offset], expected[number][offset]), (number, offset)
    for one in growing:  # no guess was right: only the first token of each stays
        one.cache.length = one.length + 1
    for number, found in enumerate(step(forward, growing)):
        assert torch.equal(found, expected[number][1])


def test_what_a_broken_text_leaves_reaches_nobody(forward: Forward) -> None:
    expected = alone(forward, 20, 1)
    broken, other = Growing(40, 2), Growing(30, 3)
    for one in (other, broken):
        one.begin(forward)
    step(forward, [other, broken])
    with torch.inference_mode():
        for keys, values in broken.cache.layers().values():
            keys.fill_(float("inf"))
            values.fill_(float("nan"))
    broken.cache.leave()
    assert forward.slabs is not None
    forward.slabs.tidy()
    late = Growing(20, 1)
    late.begin(forward)
    for token in range(STEPS):
        scores = step(forward, [late, other] if token < STEPS - 1 else [late])[0]
        assert torch.equal(scores, expected[token])


@pytest.mark.parametrize("seed", range(5))
def test_a_slab_holds_what_was_given_to_it(seed: int) -> None:
    draw = random.Random(seed)
    slab = Slab(8)
    held: dict[int, RowCache] = {}
    for number in range(120):
        if draw.random() < 0.6:
            caches = []
            for offset in range(draw.randrange(1, 4)):
                cache = RowCache()
                value = float(1000 * number + offset)
                for layer in (0, 3):
                    cache.put(layer, 0, *(2 * [torch.full((1, 2, 1 + int(value) % 8, 4), value + layer)]))
                cache.length = 1 + int(value) % 8
                caches.append(cache)
                held[int(value)] = cache
            slab.enter(caches)
        for value in [value for value in held if draw.random() < 0.3]:
            held.pop(value).leave()
        if draw.random() < 0.7:
            slab.tidy()
            assert [cache.slot for cache in slab.caches if cache is not None] == list(range(len(held)))
            assert len(slab.caches) == len(held)
        for value, cache in held.items():
            assert cache.slab is slab
            for layer in (0, 3):
                for tensor in cache.layers()[layer]:
                    assert tensor.shape == (1, 2, cache.length, 4)
                    assert bool((tensor == value + layer).all())


def test_a_copy_of_a_row_stays_when_the_row_changes() -> None:
    slab, cache = Slab(8), RowCache()
    cache.put(0, 0, *(2 * [torch.ones(1, 1, 2, 1)]))
    cache.length = 2
    slab.enter([cache])
    copy = cache.copy()
    slab.layers()[0][0].zero_()
    assert copy.slab is None
    assert copy.layers()[0][0].flatten().tolist() == [1, 1]


def test_rows_without_a_token_are_not_computed_for_most_of_a_call(
    forward: Forward, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of many texts that has a step for itself is attended to alone."""
    calls: list[int] = []
    together = slab_attention.SlabAttention._together

    def counting(self: Any, call: Any, *arguments: Any) -> Any:
        calls.append(len(call.rows))
        return together(self, call, *arguments)

    monkeypatch.setattr(slab_attention.SlabAttention, "_together", counting)
    expected = alone(forward, 30, 0)
    growing = [Growing(30, number) for number in range(4)]
    for one in growing:
        one.begin(forward)
    assert torch.equal(step(forward, growing)[0], expected[0])
    assert calls[0] == 4
    calls.clear()
    assert torch.equal(step(forward, growing[:1])[0], expected[1])
    assert not calls
    assert torch.equal(step(forward, growing[:3])[0], expected[2])
    assert set(calls) == {3}


def test_turns_are_taken_in_the_order_of_rows(forward: Forward) -> None:
    class Sequence:
        def __init__(self, cache: RowCache) -> None:
            self.cache = cache

    slab, free, caches = Slab(64), RowCache(), [RowCache(), RowCache()]
    for cache in caches:
        cache.put(0, 0, *(2 * [torch.ones(1, 1, 2, 1)]))
        cache.length = 2
    slab.enter(caches)
    turns = [Turn(Sequence(cache)) for cache in (free, caches[1], caches[0])]  # type: ignore[arg-type]
    assert sorted(turn.where for turn in turns)[:2] == [(64, 0), (64, 1)]
    assert max(turn.where for turn in turns) == turns[0].where
