"""Seeds: of the user, of the document, drawn; the same seed is the same text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.runtime import Compose, Run
from mcnb.runtime.jobs import derived_seed
from mcnb.runtime.wording import summary_line
from tests.support.runs import Models

Make = Callable[..., Compose]

SHORT: dict[str, Any] = {"max_output_length": 12, "params": {"temperature": 1.5, "top_k": 0, "top_p": 1.0}}


def seeds(run: Run) -> list[tuple[int, str]]:
    return [(item.parameters["seed"]["value"], item.parameters["seed"]["source"]) for item in run.record.generations]


def test_the_same_seed_gives_the_same_text_and_another_one_another(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, **SHORT)
    texts = {seed: loaded.run(prompt="a", seed=seed).output for seed in (1, 2, 3)}
    assert len(set(texts.values())) == 3
    assert {seed: loaded.run(prompt="a", seed=seed).output for seed in (3, 2, 1)} == texts
    loaded.runtime.cache.unload()
    assert loaded.run(prompt="a", seed=2).output == texts[2]


def test_a_drawn_seed_is_recorded_and_differs_from_run_to_run(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, **SHORT)
    first, second = loaded.run(prompt="a"), loaded.run(prompt="a")
    assert first.record.seed != second.record.seed
    assert first.output != second.output
    assert seeds(first) == [(first.record.seed, "library")]
    assert loaded.run(prompt="a", seed=first.record.seed).output == first.output


def test_the_seed_of_the_document_counts_unless_the_user_gives_one(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, seed=5, **SHORT)
    said, again, own = loaded.run(prompt="a"), loaded.run(prompt="a"), loaded.run(prompt="a", seed=6)
    assert said.output == again.output != own.output
    assert seeds(said) == [(5, "document")]
    assert seeds(own) == [(6, "user")]
    assert "seed 5" in summary_line(said.record)
    assert "seed 6" in summary_line(own.record)
    assert loaded.run(prompt="a", seed=5).output == said.output


def test_the_seed_may_be_an_input(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, seed="${input.seed as integer | 9}", **SHORT)
    assert seeds(loaded.run(prompt="a")) == [(9, "document")]
    assert seeds(loaded.run(prompt="a", input={"seed": 4})) == [(4, "document")]


def test_items_have_seeds_derived_from_the_run_s(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, text=["a", "a", "a"], **SHORT)
    run = loaded.run(seed=8)
    job = run.record.generations[0].job
    assert seeds(run) == [(8, "user"), (derived_seed(8, job, 1), "user"), (derived_seed(8, job, 2), "user")]
    assert len(set(run.output)) == 3
    assert loaded.run(seed=8).output == run.output
    assert 0 <= derived_seed(8, job, 1) < 2**63


@pytest.mark.parametrize("seed", [-1, 2**63, "x", 1.5])
def test_a_seed_out_of_range(compose: Make, models: Models, seed: Any) -> None:
    with pytest.raises(InvalidInputError, match="seed"):
        compose(models.dice).submit(prompt="a", seed=seed)


def test_overrides_of_parameters(compose: Make, models: Models) -> None:
    run = compose(models.dice, **SHORT).run(prompt="a", parameters={"max_output_length": 3, "temperature": 0})
    said = run.record.generations[0].parameters
    assert said["max_output_length"] == {"value": 3, "source": "user"}
    assert said["temperature"] == {"value": 0, "source": "user"}
    assert said["top_k"] == {"value": 0, "source": "document"}
    assert run.record.usage.output_tokens == 3


@pytest.mark.parametrize(("name", "value"), [("temperature", -5), ("top_p", 2), ("max_output_length", 0), ("tmp", 1)])
def test_overrides_out_of_range(compose: Make, models: Models, name: str, value: Any) -> None:
    with pytest.raises(InvalidInputError, match=name):
        compose(models.dice).submit(prompt="a", parameters={name: value})
