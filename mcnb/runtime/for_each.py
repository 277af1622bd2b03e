"""``for-each``: the inputs of its calls and what their outputs become."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mcnb.compose.expressions import TypeSpec, render
from mcnb.compose.expressions.casts import cast
from mcnb.compose.schema import ForEachJob
from mcnb.compose.schema.job import FilterJob
from mcnb.errors import ExpressionError, InvalidInputError
from mcnb.runtime.calls import MAX_REPEAT, JobInputs
from mcnb.runtime.conditions import passes
from mcnb.runtime.wording import part_name


def items_of(job: ForEachJob | FilterJob, scope: Mapping[str, Any]) -> list[Any]:
    """Return the list that a job goes through.

    Raises
    ------
    InvalidInputError, ExpressionError
        When its input is no list, or too long a one.
    """
    what = f"{part_name('job', job.id)}: input"
    value = render(job.input, scope)
    if value is None:
        raise InvalidInputError(f"{what} is missing; it has to be a list", hint=f"it is {job.input}")
    try:
        items = list(cast(value, TypeSpec("list"), what=what))
    except ExpressionError as error:
        raise InvalidInputError(error.message) from error
    if len(items) > MAX_REPEAT:
        raise InvalidInputError(f"{what} has {len(items):,} items; {MAX_REPEAT:,} are the most")
    return items


def render_items(job: ForEachJob, scope: Mapping[str, Any]) -> JobInputs:
    """Render the inputs of a job's calls, one for each item; without ``do.input`` the item itself is it.

    Raises
    ------
    InvalidInputError, ExpressionError
        When there is no list, or a value is of the wrong type.
    """
    items = items_of(job, scope)
    values = [
        item if job.do.input is None else render(job.do.input, {**scope, "item": item, "index": index})
        for index, item in enumerate(items)
    ]
    return JobInputs(tuple(values), repeats=True, items=tuple(items))


def render_results(job: ForEachJob, inputs: JobInputs, results: Sequence[Any], scope: Mapping[str, Any]) -> list[Any]:
    """Return the outputs of a job's calls, as ``do.output`` wants them."""
    if job.do.output is None:
        return list(results)
    return [
        render(job.do.output, {**scope, "item": item, "index": index, "output": result})
        for index, (item, result) in enumerate(zip(inputs.items, results, strict=True))
    ]


def kept(job: FilterJob, items: Sequence[Any], scope: Mapping[str, Any]) -> list[Any]:
    """Return the items of a filter's list that pass its test, in order.

    Raises
    ------
    InvalidInputError, ExpressionError
        For values that cannot be compared.
    """
    name = part_name("job", job.id)
    return [
        item
        for index, item in enumerate(items)
        if passes(job.where, item, {**scope, "item": item, "index": index}, f"{name}, index {index}")
    ]
