"""Routing: which job an ``if``, a ``switch`` or a ``random-router`` leads to."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypeAlias

from mcnb.compose.expressions import render
from mcnb.compose.schema.job import IfJob, RandomRouterJob, SwitchJob
from mcnb.runtime.conditions import equal, holds
from mcnb.runtime.wording import part_name

RoutingJob: TypeAlias = IfJob | SwitchJob | RandomRouterJob


def way(job: RoutingJob, value: Any, scope: Mapping[str, Any], chance: float) -> str | None:
    """Return the id of the job that a routing job leads to; None when it leads nowhere.

    Parameters
    ----------
    job : IfJob, SwitchJob or RandomRouterJob
        Of conditions and cases, the first that says where to go counts.
    value : Any
        Its input.
    scope : mapping
        What its expressions see.
    chance : float
        From 0 to below 1: the choice of a random-router.

    Raises
    ------
    InvalidInputError, ExpressionError
        For values that cannot be compared.
    """
    if isinstance(job, RandomRouterJob):
        return _by_chance(job, chance)
    if isinstance(job, SwitchJob):
        found = (case.then for case in job.cases if equal(value, render(case.value, scope)))
        return next(found, job.otherwise)
    for number, condition in enumerate(job.conditions):
        place = f"{part_name('job', job.id)}: conditions[{number}]"
        tested = render(condition.input, scope) if "input" in condition.model_fields_set else value
        holding = holds(condition.operator, tested, render(condition.value, scope), place)
        to = condition.if_true if holding else condition.if_false
        if to is not None:
            return to
    return job.otherwise


def _by_chance(job: RandomRouterJob, chance: float) -> str:
    weights = [item.weight if job.mode == "weighted" else 1.0 for item in job.routings]
    left = chance * sum(weights)
    for item, weight in zip(job.routings, weights, strict=True):
        left -= weight
        if left < 0:
            return item.to
    return job.routings[-1].to


def chance_of(seed: int, job: str, turn: int) -> float:
    """Return a number from 0 to below 1: the same for the same run seed, job and turn."""
    digest = hashlib.sha256(f"{seed}:{job}:way:{turn}".encode()).digest()
    return int.from_bytes(digest[:8], "little") / 2**64
