"""The priority of a run is that of its generations, and of no record."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mcnb.errors import InvalidInputError
from mcnb.models.request import Priority
from mcnb.runtime import Compose, Runtime
from tests.support.runs import FIRST_LINE, Models

Make = Callable[..., Compose]


@pytest.mark.parametrize("priority", ["interactive", "api", "bulk"])
def test_generations_have_the_priority_of_the_run(
    runtime: Runtime, compose: Make, models: Models, taken: list[Priority], priority: Priority
) -> None:
    document = compose(models.poet, max_output_length=2).document
    run = runtime.submit(document, input={"prompt": FIRST_LINE}, priority=priority)
    run.wait()
    assert (run.state, taken) == ("completed", [priority])
    assert "priority" not in run.record.to_dict()


def test_a_run_is_interactive_unless_said_otherwise(compose: Make, models: Models, taken: list[Priority]) -> None:
    compose(models.poet, max_output_length=2).run(prompt=FIRST_LINE)
    assert taken == ["interactive"]


def test_the_rows_of_a_batch_let_others_go_first(compose: Make, models: Models, taken: list[Priority]) -> None:
    batch = compose(models.poet, max_output_length=2).batch([{"prompt": FIRST_LINE}] * 3)
    batch.wait()
    assert taken == ["bulk"] * 3


def test_a_priority_that_is_none_is_refused(runtime: Runtime, compose: Make, models: Models) -> None:
    document = compose(models.poet).document
    told = re.escape("priority has to be one of interactive, api, bulk, got 'soon'")
    with pytest.raises(InvalidInputError, match=told):
        runtime.submit(document, input={"prompt": FIRST_LINE}, priority="soon")  # type: ignore[arg-type]
    assert not runtime.runs
