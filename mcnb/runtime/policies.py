"""Policies: what a job does when it fails; trying again, and going on without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from mcnb.compose.durations import parse_duration
from mcnb.compose.expressions import render
from mcnb.compose.schema import JobBase
from mcnb.compose.schema.policies import Retry
from mcnb.errors import McnbError, RunCancelledError, RunTimeoutError
from mcnb.models.control import Control

_T = TypeVar("_T")


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes
    ----------
    output : Any
        Its output.
    to : str or None
        The job it leads to.
    error : McnbError or None
        What it failed with, when its ``on_error`` went on without it.
    """

    output: Any
    to: str | None = None
    error: McnbError | None = None


def delays(retry: Retry | None) -> Iterator[float]:
    """Yield the seconds to wait before each further attempt.

    Examples
    --------
    >>> list(delays(Retry(max_attempt_count=5, delay=1, backoff="exponential", max_delay="5s")))
    [1.0, 2.0, 4.0, 5.0]
    """
    if retry is None:
        return
    delay = parse_duration(retry.delay)
    cap = float("inf") if retry.max_delay is None else parse_duration(retry.max_delay)
    for number in range(retry.max_attempt_count - 1):
        yield min(cap, delay * 2**number if retry.backoff == "exponential" else delay)


def is_final(error: McnbError, control: Control) -> bool:
    """Whether nothing is to be done about an error: the run was stopped, by a person or by its time limit."""
    return control.stopped or isinstance(error, RunCancelledError | RunTimeoutError)


async def attempts(
    retry: Retry | None,
    work: Callable[[int], Awaitable[_T]],
    again: Callable[[int, float, McnbError], Awaitable[None]],
    control: Control,
) -> _T:
    """Do work, again and again where a job's ``retry`` says so.

    Parameters
    ----------
    retry : Retry or None
        The job's.
    work : callable
        Gets the number of the attempt, from 1.
    again : callable
        Gets the number of the next attempt, the seconds to wait before it, and what the last one failed with; waits.
    control : Control
        Of the run: a stopped one tries nothing again.
    """
    for number, seconds in enumerate(delays(retry), 1):
        try:
            return await work(number)
        except McnbError as error:
            if is_final(error, control):
                raise
            failed = error
        await again(number + 1, seconds, failed)
    return await work(1 if retry is None else retry.max_attempt_count)


def handled(job: JobBase, error: McnbError, scope: Mapping[str, Any], message: str) -> Outcome | None:
    """Return how a run goes on after a job has failed in the end; None when it does not.

    Parameters
    ----------
    job : JobBase
        With its ``on_error``: `output` takes the place of its own, `to` leads to another job in place of its
        dependents, `ignore` leaves the output null.
    error : McnbError
        What it failed with.
    scope : mapping
        What its expressions see, beside ``error``.
    message : str
        ``${error.message}``.
    """
    policy = job.on_error
    if policy is None or not (policy.ignore or policy.to is not None or "output" in policy.model_fields_set):
        return None
    told = {"code": error.code, "message": message}
    return Outcome(render(policy.output, {**scope, "error": told}), policy.to, error)
