"""The draw: transformers' distribution, a generator of its own."""

from __future__ import annotations

import threading
from itertools import product
from typing import Any

import pytest
import torch
from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

from mcnb.models.sampling import Sampler, candidates, row_seeds

from .calls import Gate, say
from .conftest import Loaded

ROWS, SIZE = 4, 200


def scores(seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(ROWS, SIZE, generator=generator)


def of_transformers(values: torch.Tensor, temperature: float, top_k: int, top_p: float) -> torch.Tensor:
    """Probabilities as transformers' own processors leave them."""
    ids: Any = None
    values = TemperatureLogitsWarper(temperature)(ids, values)
    if top_k:
        values = TopKLogitsWarper(top_k)(ids, values)
    if top_p < 1:
        values = TopPLogitsWarper(top_p)(ids, values)
    return torch.softmax(values, dim=-1)


def of_mcnb(values: torch.Tensor, temperature: float, top_k: int, top_p: float) -> torch.Tensor:
    weights, tokens = candidates(values, temperature=temperature, top_k=top_k, top_p=top_p)
    if tokens is not None:
        weights = torch.zeros_like(values).scatter_(-1, tokens, weights)
    return weights / weights.sum(dim=-1, keepdim=True)


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    list(product([0.1, 0.7, 1.0, 1.7, 100.0], [0, 1, 2, 50, SIZE, 10**6], [0.01, 0.5, 0.9, 0.999, 1.0])),
)
def test_the_distribution_is_that_of_transformers(temperature: float, top_k: int, top_p: float) -> None:
    values = scores()
    expected = of_transformers(values, temperature, top_k, top_p)
    found = of_mcnb(values, temperature, top_k, top_p)
    assert torch.equal(found > 0, expected > 0)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_draws_follow_the_distribution() -> None:
    values = torch.log(torch.tensor([[0.5, 0.3, 0.15, 0.05]])).repeat(4000, 1)
    draw = Sampler(temperature=1.0, top_k=0, top_p=1.0, seeds=row_seeds(1, 4000), device="cpu")
    counts = torch.bincount(draw(None, values).argmax(dim=-1), minlength=4) / 4000
    torch.testing.assert_close(counts, torch.tensor([0.5, 0.3, 0.15, 0.05]), atol=0.03, rtol=0)


def test_one_token_stays_possible() -> None:
    draw = Sampler(temperature=0.7, top_k=50, top_p=0.9, seeds=range(ROWS), device="cpu")
    left = draw(None, scores())
    assert left.shape == (ROWS, SIZE)
    assert torch.isfinite(left).sum(dim=-1).tolist() == [1] * ROWS
    allowed = of_transformers(scores(), 0.7, 50, 0.9) > 0
    assert all(allowed[row, token] for row, token in enumerate(left.argmax(dim=-1).tolist()))


@pytest.mark.parametrize("temperature", [1e-3, 1e-30, 1e-45, 5e-324])
def test_the_coldest_temperature_is_the_likeliest_token(temperature: float) -> None:
    for values in (scores(), scores() * 1000, scores().masked_fill(torch.arange(SIZE) % 3 > 0, float("-inf"))):
        draw = Sampler(temperature=temperature, top_k=50, top_p=0.9, seeds=range(ROWS), device="cpu")
        assert torch.equal(draw(None, values).argmax(dim=-1), values.argmax(dim=-1))


def test_a_forced_token_is_drawn() -> None:
    values = torch.full((1, SIZE), float("-inf"))
    values[0, 17] = 0
    draw = Sampler(temperature=0.7, top_k=50, top_p=0.9, seeds=[1], device="cpu")
    assert draw(None, values).argmax().item() == 17


def test_each_row_has_a_seed_of_its_own() -> None:
    seeds = row_seeds(5, 8)
    assert seeds[0] == 5
    assert len(set(seeds)) == 8
    assert row_seeds(5, 3) == seeds[:3]
    assert all(0 <= seed < 2**63 for seed in row_seeds(2**63 - 1, 8))
    same = scores()[:1].repeat(8, 1)
    draw = Sampler(temperature=1.5, top_k=0, top_p=1.0, seeds=seeds, device="cpu")
    assert len(set(draw(None, same).argmax(dim=-1).tolist())) > 3


def test_the_shared_generator_is_neither_used_nor_changed(loaded: Loaded) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    say(loaded("gpt_neo"), do_sample=True, temperature=1.5, max_output_length=10)
    assert torch.equal(torch.get_rng_state(), before)


def test_other_threads_may_draw_at_the_same_time(loaded: Loaded) -> None:
    model = loaded("gpt_neo")
    options = {"do_sample": True, "temperature": 2.0, "max_output_length": 30}
    expected = say(model, **options).text
    gate = Gate()

    def draw() -> None:
        gate.reached.set()
        while not gate.opened.is_set():
            torch.rand(10)
            torch.manual_seed(0)

    thread = threading.Thread(target=draw)
    thread.start()
    gate.arrived()
    try:
        assert [say(model, **options).text for _ in range(3)] == [expected] * 3
    finally:
        gate.open()
        thread.join()
