"""Random schedules: whatever comes when, each text is the one that is said alone."""

from __future__ import annotations

import random
from concurrent.futures import CancelledError

import pytest

from mcnb.errors import RunCancelledError
from mcnb.models.control import Control
from mcnb.models.owner import ModelOwner
from mcnb.models.request import Priority

from .conftest import Ask, submit, texts

WORDS = [
    "once",
    "upon",
    "a",
    "time",
    "she",
    "he",
    "walked",
    "told",
    "garden",
    "sea",
    "house",
    "far",
    "away",
    "beautiful",
    "one",
    "day",
    "said",
    "the",
    "and",
]
PRIORITIES: tuple[Priority, ...] = ("interactive", "api", "bulk")


def _asks(chance: random.Random) -> list[Ask]:
    beginnings = [" ".join(chance.choices(WORDS, k=length)) for length in (30, 70)]
    made = []
    for _ in range(12):
        start = chance.choice([*beginnings, "", ""])
        prompt = f"{start} {' '.join(chance.choices(WORDS, k=chance.choice([1, 3, 20])))}"
        user = {"max_output_length": chance.randint(1, 24), "do_sample": chance.random() < 0.6}
        if chance.random() < 0.3:
            user["repetition_penalty"] = 1.3
        made.append(Ask(prompt, chance.randrange(2**31), user))
    return made


@pytest.mark.parametrize("reuse", [True, False])
@pytest.mark.parametrize("seed", range(5))
def test_each_text_is_the_one_alone(seed: int, reuse: bool, owner: ModelOwner, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    asks = _asks(chance)
    expected = [texts(submit(owner, ask)) for ask in asks]
    if not reuse:
        monkeypatch.setattr("mcnb.models.engine.prefixes.Prefixes.find", lambda *_: None)
    for _ in range(2):
        _run(chance, owner, asks, expected)


def _run(chance: random.Random, owner: ModelOwner, asks: list[Ask], expected: list[list[str]]) -> None:
    """Have each request come when another one says so, and some cancelled at a token."""
    order = chance.sample(range(len(asks)), len(asks))
    generations = {}
    for number in order:
        control, at = Control(), chance.choice([0, 0, 0, 1, 4])

        def listen(text: str, tokens: int, at: int = at, control: Control = control) -> None:
            if at and tokens >= at:
                control.cancel()

        generations[number] = submit(owner, asks[number], listen, control=control, priority=chance.choice(PRIORITIES))
        if chance.random() < 0.3:
            earlier = generations[chance.choice(list(generations))]
            _ended(earlier.future)
    for number, generation in generations.items():
        if _ended(generation.future):
            assert generation.result.texts == expected[number]
        else:
            whole = expected[number][0]
            assert whole.startswith(generation.result.texts[0].rstrip("\ufffd"))


def _ended(future: object) -> bool:
    try:
        future.result(60)  # type: ignore[attr-defined]
    except (RunCancelledError, CancelledError):
        return False
    return True
