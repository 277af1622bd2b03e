"""``num_return_sequences``: all sequences, each one again from its seed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import InvalidInputError, UnsupportedModelError
from mcnb.models.sampling import row_seeds
from mcnb.runtime import Compose, Runtime, load
from tests.support.runs import Models

Make = Callable[..., Compose]

WILD: dict[str, Any] = {"max_output_length": 12, "params": {"temperature": 1.5, "top_k": 0, "top_p": 1.0}}


def test_all_sequences_are_returned_and_differ(compose: Make, models: Models) -> None:
    run = compose(models.dice, num_return_sequences=3, **WILD).run(prompt="a", seed=5)
    assert len(set(run.output)) == 3
    assert all(text.startswith("a") for text in run.output)
    assert len(run.record.finish_reasons) == 3
    assert run.record.usage.output_tokens == 36


def test_each_sequence_alone_is_its_seed(compose: Make, models: Models) -> None:
    several = compose(models.dice, num_return_sequences=3, **WILD).run(prompt="a", seed=5).output
    alone = compose(models.dice, **WILD)
    assert [alone.run(prompt="a", seed=seed).output for seed in row_seeds(5, 3)] == several


def test_fewer_sequences_are_the_first_ones(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, num_return_sequences="${input.n as integer}", **WILD)
    three, two, one = (loaded.run(prompt="a", n=n, seed=5).output for n in (3, 2, 1))
    assert (two, one) == (three[:2], three[0]), "one sequence is no list"


def test_the_same_seed_gives_the_same_sequences(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, num_return_sequences=4, **WILD)
    first = loaded.run(prompt="a", seed=7)
    assert loaded.run(prompt="a", seed=7).output == first.output != loaded.run(prompt="a", seed=8).output
    assert loaded.repeat(first.record).output == first.output


def test_sequences_of_a_list_of_prompts_are_lists_in_a_list(compose: Make, models: Models) -> None:
    run = compose(models.dice, text=["${input.x}", "${input.y}"], num_return_sequences=2, **WILD).run(x="a", y="b")
    assert [[text[0] for text in texts] for texts in run.output] == [["a", "a"], ["b", "b"]]
    assert len({text[1:] for texts in run.output for text in texts}) == 4


def test_sequences_of_a_repeated_job(runtime: Runtime, models: Models) -> None:
    text = f"""
workflow:
  jobs: [{{id: call, input: {{prompt: "${{input.prompts[${{index}}]}}"}}, repeat_count: 3}}]
component: {{model: {models.dice}, text: "${{input.prompt}}", num_return_sequences: 2, max_output_length: 4}}
"""
    run = load(text=text, runtime=runtime).run(prompts=["a", "b", "c"], seed=1)
    assert [[text[0] for text in texts] for texts in run.output] == [["a", "a"], ["b", "b"], ["c", "c"]]


def test_an_output_template_takes_them_as_a_list(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, num_return_sequences=2, output={"all": "${result}", "second": "${result[1]}"}, **WILD)
    output = loaded.run(prompt="a", seed=3).output
    assert output["second"] == output["all"][1]


@pytest.mark.parametrize("params", [{"do_sample": False}, {"temperature": 0}])
def test_sequences_that_would_all_be_the_same_are_refused(
    compose: Make, models: Models, params: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError, match="num_return_sequences"):
        compose(models.dice, num_return_sequences=2, params=params).run(prompt="a")


def test_beams_return_the_best_ones(compose: Make, models: Models) -> None:
    loaded = compose(
        models.dice, num_return_sequences=2, max_output_length=6, params={"num_beams": 3, "do_sample": False}
    )
    run = loaded.run(prompt="a")
    assert len(set(run.output)) == 2
    assert loaded.run(prompt="a").output == run.output


def test_an_encoder_decoder_model(runtime: Runtime, tmp_path: Path) -> None:
    from tests.support import tiny_models

    path = tiny_models.t5(tmp_path / "t5")
    text = f"component: {{task: text-to-text, model: {path}, max_output_length: 6, num_return_sequences: 3}}"
    first, second = (load(text=text, runtime=runtime).run(prompt="a b c", seed=2).output for _ in range(2))
    assert len(first) == 3
    assert first == second


def test_a_model_that_continues_texts_is_not_one_that_turns_them_into_others(runtime: Runtime, models: Models) -> None:
    text = f"component: {{task: text-to-text, model: {models.poet}, max_output_length: 6}}"
    with pytest.raises(UnsupportedModelError, match="continues texts") as caught:
        load(text=text, runtime=runtime).run(prompt="a b c")
    assert caught.value.hint is not None
    assert "text-generation" in caught.value.hint
