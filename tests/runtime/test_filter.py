"""``filter``: the items of a list that pass a test."""

from __future__ import annotations

from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.runtime import Run, Runtime
from tests.support.workflows import PATIENCE, ends, says, workflow

PEOPLE = [{"name": "Ada", "age": 36}, {"name": "Bo", "age": 8}, {"name": "Cy"}, {"name": "Di", "age": "61"}]


def filtered(runtime: Runtime, where: Any, **more: Any) -> Run:
    job = {"id": "keep", "type": "filter", "input": "${input.people}", "where": where, **more}
    return workflow(runtime, [job]).submit(people=PEOPLE)


def names(run: Run) -> str:
    return "".join(person["name"][0] for person in run.result(PATIENCE))


ADULT = {"input": "${item.age}", "operator": "gte", "value": 18}
SHORT = {"input": "${item.name}", "operator": "match", "value": "^..$"}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (ADULT, "AD"),
        ({"not": ADULT}, "BC"),
        ({"all": [ADULT, SHORT]}, "D"),
        ({"any": [ADULT, SHORT]}, "ABCD"),
        ({"not": {"any": [ADULT, {"not": SHORT}]}}, "BC"),
        ({"all": [SHORT, {"any": [{"not": ADULT}, {"input": "${index}", "value": 3}]}]}, "BCD"),
        ({"input": "${item.age}", "value": None}, "C"),
        ({"input": "${item.name}", "operator": "in", "value": ["Bo", "Di"]}, "BD"),
        ({"input": "${item.name}", "operator": "not-in", "value": ["Bo", "Di"]}, "AC"),
        ({"input": "${item.name}", "operator": "starts-with", "value": "A"}, "A"),
        ({"input": "${item.name}", "operator": "ends-with", "value": "o"}, "B"),
        ({"input": "${item.name}", "operator": "contains", "value": "y"}, "C"),
        ({"input": "${item.name}", "operator": "neq", "value": "Cy"}, "ABD"),
        ({"input": "${index}", "operator": "lt", "value": 2}, "AB"),
        ({"input": "${index}", "operator": "gt", "value": 2}, "D"),
        ({"input": "${index}", "operator": "lte", "value": 0}, "A"),
    ],
)
def test_what_is_kept_in_order(runtime: Runtime, where: Any, kept: str) -> None:
    assert names(filtered(runtime, where)) == kept


def test_an_empty_list(runtime: Runtime) -> None:
    job = {"id": "keep", "type": "filter", "input": [], "where": ADULT}
    assert workflow(runtime, [job]).run().output == []


def test_without_an_input_the_item_is_tested(runtime: Runtime) -> None:
    job = {"id": "keep", "type": "filter", "input": [1, 2, 3], "where": {"operator": "gt", "value": 1}}
    assert workflow(runtime, [job]).run().output == [2, 3]


def test_a_value_may_come_from_another_job_and_the_output_be_made(runtime: Runtime) -> None:
    limit = says("limit", "${input.limit as integer}")
    job = {"id": "keep", "type": "filter", "input": [1, 5, 9], "depends_on": ["limit"]}
    job |= {"where": {"operator": "gte", "value": "${jobs.limit.output}"}, "output": {"kept": "${output}"}}
    run = workflow(runtime, [limit, job]).run(limit=5)
    assert run.output == {"kept": [5, 9]}
    assert ends(run) == {"limit": "completed", "keep": "completed"}
    assert runtime.cache.loads == 0


def test_an_item_that_cannot_be_compared(runtime: Runtime) -> None:
    run = filtered(runtime, {"input": "${item}", "operator": "gt", "value": 1})
    with pytest.raises(InvalidInputError, match=r"'keep', index 0: .* is neither more nor less than 1"):
        run.result(PATIENCE)


def test_no_list(runtime: Runtime) -> None:
    run = workflow(runtime, [{"id": "keep", "type": "filter", "where": ADULT}]).submit()
    with pytest.raises(InvalidInputError, match="'keep': input is missing"):
        run.result(PATIENCE)


def test_a_person_changes_the_list_and_what_is_kept(runtime: Runtime) -> None:
    run = filtered(runtime, ADULT, interrupt={"before": True, "after": True})
    assert run.settle(PATIENCE)
    assert run.interruption is not None
    assert run.interruption.value == PEOPLE
    run.resume([{"name": "Eve", "age": 20}])
    assert run.settle(PATIENCE)
    assert run.interruption is not None
    assert run.interruption.value == [{"name": "Eve", "age": 20}]
    run.resume([])
    assert run.result(PATIENCE) == []
