"""SmolLM2 with quantized weights: how well it foretells a text, and that texts are the same alone and together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mcnb.models.cache import ModelCache, ModelSpec
from mcnb.models.control import Control
from mcnb.models.owner import ModelOwner
from mcnb.models.parameters import check_parameters
from mcnb.models.progress import no_report

from .test_real_model import SMOL, kept_home

__all__ = ["kept_home"]

pytestmark = pytest.mark.real_model

TEXT = """It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of foolishness,
it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, it was the season of Darkness.
The quick brown fox jumps over the lazy dog. Water boils at one hundred degrees and freezes at zero. When the train
left the station, the children waved until they could no longer see it, and then walked home along the river."""

MOST_LOST = {"int8": 0.05, "int4": 0.05, "nf4": 0.4, "fp4": 0.6}
"""Of the mean log-likelihood of a token, in nats. The weights were in four bits before, in groups as int4 has them."""


def owner_of(cache: ModelCache, precision: str) -> ModelOwner:
    lease = cache.lease(cache.acquire(ModelSpec(SMOL, Path(), precision=precision), no_report).future.result(280))
    assert lease is not None
    return lease.owner


def likelihood(owner: ModelOwner) -> float:
    import torch

    ids = owner.loaded.tokenizer(TEXT, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        scores = owner.loaded.model(input_ids=ids, use_cache=False).logits[0, :-1].float()
    return -float(torch.nn.functional.cross_entropy(scores, ids[0, 1:]))


def started(owner: ModelOwner, prompt: str) -> Any:
    given = owner.parameters(check_parameters({"max_output_length": 12, "do_sample": False}), {}, (7, "user"))
    return owner.submit(prompt, given, control=Control(), on_text=lambda *_: None).future


@pytest.fixture(scope="module")
def whole(kept_home: Path) -> tuple[float, int]:
    """How well the model foretells the text in bfloat16, and how large it is then."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MCNB_HOME", str(kept_home))
        cache = ModelCache()
        owner = owner_of(cache, "bfloat16")
        found = likelihood(owner), owner.loaded.memory
        cache.unload()
    return found


@pytest.mark.parametrize("kind", MOST_LOST)
def test_a_text_is_foretold_nearly_as_well(
    kind: str, whole: tuple[float, int], kept_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCNB_HOME", str(kept_home))
    cache = ModelCache()
    try:
        small = owner_of(cache, kind)
        assert small.loaded.quantized is not None
        assert (small.loaded.quantized.matrices, small.loaded.quantized.left) == (210, 0)
        assert small.loaded.memory < 0.7 * whole[1]
        assert abs(likelihood(small) - whole[0]) < MOST_LOST[kind]
        prompts = ["Once upon a time", "The sea was", "In a village, far from here, there lived", "One"]
        alone = [started(small, prompt).result(280).texts for prompt in prompts]
        together = [started(small, prompt) for prompt in prompts]
        assert [future.result(280).texts for future in together] == alone
    finally:
        cache.unload()
