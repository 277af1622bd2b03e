"""A group of generations: some at once in the model's hands, the results in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from mcnb.compose.expressions import TypeSpec, render
from mcnb.compose.expressions.casts import cast
from mcnb.compose.schema import ForEachJob
from mcnb.errors import ExpressionError, InvalidInputError
from mcnb.runtime.calls import ActionCall
from mcnb.runtime.plan import Step
from mcnb.runtime.wording import part_name

_T = TypeVar("_T")

AT_ONCE = 16
"""How many generations of a job are handed to the model at once where the document does not say: about as many as it
computes well together, and few enough that other runs have room beside them."""


def at_once(step: Step, calls: Sequence[ActionCall], scope: Mapping[str, Any]) -> int:
    """Return how many generations of a job are handed to the model at once: its or its action's ``batch_size``.

    Raises
    ------
    InvalidInputError
        When that is no number from 1.
    """
    own = step.job.batch_size if isinstance(step.job, ForEachJob) else None
    of_action = step.action.batch_size if own is None and calls else None
    what = f"{part_name('job', step.job.id)}: batch_size"
    try:
        value = render(own, scope) if own is not None else render(of_action, calls[0].scope if calls else scope)
        size = cast(value, TypeSpec("integer"), what=what)
    except ExpressionError as error:
        raise InvalidInputError(error.message) from error
    if size is not None and size < 1:
        raise InvalidInputError(f"{what} has to be at least 1, got {size}")
    return AT_ONCE if size is None else int(size)


async def in_order(
    numbers: Sequence[int],
    size: int,
    work: Callable[[int], Awaitable[_T]],
    stop: Callable[[], object],
    results: dict[int, _T],
) -> None:
    """Do work for each number, `size` of them at a time; the first failure ends it all.

    Parameters
    ----------
    numbers : sequence of int
        Started in this order.
    size : int
        How many are under way at once.
    work : callable
        For one number.
    stop : callable
        Told when one has failed: what has not begun need not begin.
    results : dict
        Gets what the work returns, by number; also where another one fails.

    Raises
    ------
    Exception
        What the first number, in order, has failed with; when nothing is under way any more.
    """
    failed: dict[int, Exception] = {}
    todo = iter(numbers)

    async def worker() -> None:
        for number in todo:
            if failed:
                return
            try:
                results[number] = await work(number)
            except Exception as error:
                failed[number] = error
                stop()

    ended = await asyncio.gather(*(worker() for _ in range(min(size, len(numbers)))), return_exceptions=True)
    if failed:
        raise failed[min(failed)]
    for error in ended:
        if error is not None:
            raise error
