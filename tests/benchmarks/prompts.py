"""Prompts, the same at every time: short ones, and long ones of so many tokens."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

PROMPTS = (
    "Once upon a time",
    "The capital of France is",
    "The sea is",
    "In the morning the people of the village",
    "A good cup of tea needs",
    "The first rule of gardening is",
    "My favourite book is about",
    "When the train arrived at the station",
    "The history of the city began",
    "To bake bread you need",
    "The old man looked at the sky and",
    "There was a door that nobody",
    "Music is",
    "In winter the birds",
    "The computer was invented",
    "At the edge of the forest",
)

_WORDS = """
river stone morning garden letter window market bridge winter teacher paper silver engine forest story
kitchen music island doctor yellow mountain question summer harbour candle village table machine ocean
answer picture evening animal number street friend circle weather school shadow travel history bread
"""


class Prompts:
    """Makes prompts with a model's tokenizer."""

    def __init__(self, model: Path) -> None:
        from tokenizers import Tokenizer

        self._tokenizer: Any = Tokenizer.from_file(str(model / "tokenizer.json"))

    def count(self, text: str) -> int:
        """Return how many tokens a text has."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def short(self, count: int) -> list[str]:
        """Return so many different prompts of a few tokens."""
        return [PROMPTS[number % len(PROMPTS)] + " and" * (number // len(PROMPTS)) for number in range(count)]

    def long(self, tokens: int, seed: str) -> str:
        """Return a prompt of about so many tokens; another seed, another text from its first words on."""
        words = " ".join(random.Random(seed).choices(_WORDS.split(), k=tokens))
        ids = self._tokenizer.encode(words, add_special_tokens=False).ids[:tokens]
        return str(self._tokenizer.decode(ids))
