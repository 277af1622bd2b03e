"""What whoever serves runs for others says of them: their id, that they are not listed, how much they may write."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mcnb.errors import InvalidInputError
from mcnb.runtime import Compose, Record
from tests.support.runs import FIRST_LINE, Models, ends_well
from tests.support.texts import POEM

Make = Callable[..., Compose]
PATIENCE = 60


def test_a_run_has_the_id_it_was_given(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    run = loaded.runtime.submit(loaded.document, None, {"prompt": FIRST_LINE}, run_id="r-7")
    assert run.wait(PATIENCE)
    assert run.id == run.record.run_id == "r-7"
    assert loaded.runtime.runs == (run,)


def test_a_run_that_is_not_kept_is_not_listed(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    run = loaded.runtime.submit(loaded.document, None, {"prompt": FIRST_LINE}, keep=False)
    assert run.wait(PATIENCE)
    assert run.output == POEM
    assert loaded.runtime.runs == ()


def test_closing_a_runtime_stops_a_run_that_is_not_kept(compose: Make, models: Models) -> None:
    loaded = compose(models.endless)
    run = loaded.runtime.submit(loaded.document, None, {"prompt": FIRST_LINE}, keep=False)
    loaded.runtime.close()
    assert run.state == "cancelled"
    ends_well(loaded)


def test_a_cap_clamps_the_output_and_the_record_says_so(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    free = loaded.run(prompt=FIRST_LINE, parameters={"max_output_length": 4})
    run = loaded.runtime.submit(
        loaded.document, None, {"prompt": FIRST_LINE}, parameters={"max_output_length": 40}, max_output_tokens=4
    )
    assert run.wait(PATIENCE)
    assert run.output == free.output
    made = run.record.generations[0]
    assert (made.output_budget, made.clamped, made.output_tokens) == (4, True, 4)
    assert made.parameters["max_output_length"] == {"value": 40, "source": "user"}
    assert made.finish_reasons == ["max_output_length"]
    assert run.record.max_output_tokens == 4
    assert not free.record.generations[0].clamped


def test_a_cap_above_what_is_asked_for_changes_nothing(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    run = loaded.runtime.submit(
        loaded.document, None, {"prompt": FIRST_LINE}, parameters={"max_output_length": 3}, max_output_tokens=50
    )
    assert run.wait(PATIENCE)
    made = run.record.generations[0]
    assert (made.output_budget, made.clamped) == (3, False)


def test_the_context_is_the_reason_where_it_is_the_lower_limit(compose: Make, models: Models) -> None:
    loaded = compose(models.dice)
    run = loaded.runtime.submit(
        loaded.document, None, {"prompt": "a"}, parameters={"max_output_length": 500}, max_output_tokens=400
    )
    assert run.wait(PATIENCE)
    made = run.record.generations[0]
    assert made.output_budget < 128
    assert made.clamped
    assert set(made.finish_reasons) <= {"context_full", "eos"}


def test_a_capped_run_can_be_repeated(compose: Make, models: Models) -> None:
    loaded = compose(models.dice)
    run = loaded.runtime.submit(loaded.document, None, {"prompt": "a"}, max_output_tokens=5)
    assert run.wait(PATIENCE)
    again = loaded.runtime.repeat(Record.from_dict(run.record.to_dict()))
    assert again.wait(PATIENCE)
    assert again.output == run.output


def test_a_cap_has_to_allow_something(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)
    with pytest.raises(InvalidInputError, match="max_output_tokens"):
        loaded.runtime.submit(loaded.document, None, {"prompt": "a"}, max_output_tokens=0)


def test_a_seed_that_was_drawn_elsewhere_is_the_runs(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, params={"max_output_length": 12})
    known = loaded.run(prompt=FIRST_LINE, seed=11)
    run = loaded.runtime.submit(loaded.document, None, {"prompt": FIRST_LINE}, drawn_seed=11)
    assert run.wait(PATIENCE)
    assert (run.output, run.record.seed) == (known.output, 11)
    assert run.record.parameters == {}, "nobody asked for that seed"


def test_a_seed_of_the_document_goes_before_one_that_was_drawn(compose: Make, models: Models) -> None:
    loaded = compose(models.dice, params={"max_output_length": 12, "seed": 3})
    local = loaded.run(prompt=FIRST_LINE)
    run = loaded.runtime.submit(loaded.document, None, {"prompt": FIRST_LINE}, drawn_seed=11)
    assert run.wait(PATIENCE)
    assert (run.output, run.record.used_seed) == (local.output, 3)
    again = loaded.runtime.submit(loaded.document, None, {"prompt": FIRST_LINE}, seed=11)
    assert again.wait(PATIENCE)
    assert again.output != local.output
