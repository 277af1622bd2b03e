"""Order: what a run is to do, checked and complete."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from mcnb.compose import Document, check_input
from mcnb.errors import InvalidInputError
from mcnb.models.parameters import DRAWN_SEED_BITS, check_parameters
from mcnb.models.request import Priority
from mcnb.runtime.plan import Pin, Plan, make_plan
from mcnb.runtime.provenance import describe_document
from mcnb.runtime.record import Answer, Record, Way
from mcnb.runtime.run import Run


@dataclass(frozen=True)
class Order:
    """What a run is to do.

    Attributes
    ----------
    plan : Plan
        Its jobs.
    values : dict
        The checked input.
    parameters : mapping
        The caller's overrides of generation parameters, checked.
    seed : int
        Of the run.
    described : dict
        The document as records keep it.
    timeout : float or None
        Seconds after which the run is stopped and failed; while it is interrupted, none pass.
    pins : mapping of str to Pin
        By job id, for a repeated run.
    answers : tuple of Answer
        To interruptions, for a repeated run.
    ways : tuple of Way
        To take, for a repeated run.
    run_id : str or None
        Of the run; a fresh one when not given.
    max_output_tokens : int or None
        New tokens that each generation is allowed at most.
    priority : str
        Of its generations: ``interactive``, ``api`` or ``bulk``. It changes when they are computed, and no text.
    """

    plan: Plan
    values: dict[str, Any]
    parameters: Mapping[str, Any]
    seed: int
    described: dict[str, Any]
    timeout: float | None = None
    pins: Mapping[str, Pin] = field(default_factory=dict)
    answers: tuple[Answer, ...] = ()
    ways: tuple[Way, ...] = ()
    run_id: str | None = None
    max_output_tokens: int | None = None
    priority: Priority = "interactive"

    def record(self) -> Record:
        """Return the record of a new run."""
        return Record(
            run_id=self.run_id or Run.new_id(),
            workflow=self.plan.workflow.id,
            created=time.time(),
            document=self.described,
            input=self.values,
            parameters=dict(self.parameters),
            seed=self.seed,
            max_output_tokens=self.max_output_tokens,
        )


def make_order(
    document: Document,
    workflow: str | None,
    input: Mapping[str, Any] | None,
    parameters: Mapping[str, Any],
    seed: int,
    *,
    timeout: float | None = None,
    pins: Mapping[str, Pin] | None = None,
    answers: tuple[Answer, ...] = (),
    ways: tuple[Way, ...] = (),
    run_id: str | None = None,
    max_output_tokens: int | None = None,
    priority: Priority = "interactive",
) -> Order:
    """Check what a caller wants of a run.

    Raises
    ------
    InvalidInputError, NotSupportedError, UnsupportedModelError
        As ``Runtime.submit``.
    """
    if timeout is not None and not timeout > 0:  # not a number is not more than 0 either
        raise InvalidInputError(f"timeout has to be more than 0 seconds, got {timeout:g}")
    if max_output_tokens is not None and max_output_tokens < 1:
        raise InvalidInputError(f"max_output_tokens has to be 1 or more, got {max_output_tokens}")
    if priority not in get_args(Priority):
        raise InvalidInputError(f"priority has to be one of {', '.join(get_args(Priority))}, got {priority!r}")
    chosen = document.workflow(workflow)
    values = check_input(document.inputs(workflow), input)
    plan = make_plan(document, chosen)
    plan.check_installed()
    return Order(
        plan,
        values,
        parameters,
        seed,
        describe_document(document),
        timeout,
        pins or {},
        answers,
        ways,
        run_id,
        max_output_tokens,
        priority,
    )


def with_seed(
    parameters: Mapping[str, Any] | None, seed: int | None, drawn: int | None = None
) -> tuple[dict[str, Any], int]:
    """Return the checked overrides, with the seed where the caller gives one, and that seed or a drawn one.

    Raises
    ------
    InvalidInputError
        For a value out of range.
    """
    overrides = check_parameters({**(parameters or {}), **({} if seed is None else {"seed": seed})})
    if "seed" in overrides:
        return overrides, overrides["seed"]
    return overrides, secrets.randbits(DRAWN_SEED_BITS) if drawn is None else drawn
