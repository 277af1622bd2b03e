"""Models of every family, and an owner that is asked for many texts at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mcnb.models.control import Control
from mcnb.models.loaded import LoadedModel
from mcnb.models.owner import Generation, ModelOwner
from mcnb.models.parameters import check_parameters
from mcnb.models.request import Priority
from tests.models.calls import Gate, load_folder
from tests.models.conftest import MAKERS
from tests.support import tiny_families

ALL: dict[str, Callable[..., Path]] = {**MAKERS, **tiny_families.MAKERS}

BATCHED = ("smollm3", "gpt2_dialog", "gpt_neo", "codegen", "llama", "qwen3", "mistral", "gemma3", "opt", "phi")
ALONE = ("gemma2", "mixtral", "mamba", "bloom", "blenderbot", "t5", "bart", "marian")
"""Those that ``generate`` computes, one request after the other."""


@dataclass(frozen=True)
class Ask:
    """One request: what is asked for, and nothing else that its text may depend on."""

    prompt: str
    seed: int = 7
    user: dict[str, Any] = field(default_factory=dict)


def nothing(text: str, tokens: int) -> None:
    """Listen to nothing."""


def submit(
    owner: ModelOwner,
    ask: Ask,
    on_text: Callable[[str, int], object] = nothing,
    *,
    control: Control | None = None,
    priority: Priority = "interactive",
) -> Generation:
    """Queue a request."""
    user = {"max_output_length": 8, "do_sample": False, "num_beams": 1, **ask.user}
    given = owner.parameters(check_parameters(user), {}, (ask.seed, "user"))
    return owner.submit(
        ask.prompt,
        given,
        control=control or Control(),
        on_text=on_text,  # type: ignore[arg-type]
        priority=priority,
    )


def texts(generation: Generation) -> list[str]:
    """Wait for what comes of a request."""
    return generation.future.result(120).texts


class Held:
    """A request that stands still at its first token, so that others can gather behind it."""

    def __init__(self, owner: ModelOwner, ask: Ask | None = None) -> None:
        self.gate = Gate()
        self.generation = submit(owner, ask or Ask("Once upon"), lambda text, tokens: self.gate.wait())
        self.gate.arrived()

    def go(self) -> list[str]:
        """Let everybody go on; return the texts of the one that stood still."""
        self.gate.open()
        return texts(self.generation)


Load = Callable[..., LoadedModel]


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """Load a model of a family anew."""
    root = tmp_path_factory.mktemp("families")

    def one(family: str, dtype: str = "float32") -> LoadedModel:
        if not (root / family).exists():
            ALL[family](root / family)
        return load_folder(root / family, dtype)

    return one


@pytest.fixture
def owners() -> Iterator[Callable[[LoadedModel], ModelOwner]]:
    """Make owners; they are closed at the end, and their threads have ended."""
    made: list[ModelOwner] = []

    def make(loaded: LoadedModel) -> ModelOwner:
        made.append(ModelOwner(loaded))
        return made[-1]

    yield make
    for owner in made:
        owner.close()


@pytest.fixture
def owner(load: Load, owners: Callable[[LoadedModel], ModelOwner]) -> ModelOwner:
    """One that batches."""
    return owners(load("llama"))
