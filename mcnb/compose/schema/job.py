"""``job``: one step of a workflow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mcnb.compose.expressions import Template
from mcnb.compose.schema.base import ExpressionOr, Part, Text, Tree, tag
from mcnb.compose.schema.component import AnyComponent
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import IS_INTEGER, IS_NUMBER, Duration, Id

JOB_TYPES = ("component", "for-each", "if", "switch", "random-router", "filter", "delay")
OPERATORS = (
    "eq",
    "neq",
    "gt",
    "gte",
    "lt",
    "lte",
    "in",
    "not-in",
    "starts-with",
    "ends-with",
    "contains",
    "match",
)

Operator = Literal[
    "eq", "neq", "gt", "gte", "lt", "lte", "in", "not-in", "starts-with", "ends-with", "contains", "match"
]
_Count = Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, le=100_000)])]


def _retry(value: Any) -> Any:
    return {"max_attempt_count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _on_error(value: Any) -> Any:
    return {"ignore": True} if value == "ignore" else value


class Retry(Part):
    """Try again after a failure."""

    max_attempt_count: Annotated[int, Field(ge=1, le=100), IS_INTEGER] = 1
    delay: Duration = 1
    backoff: Literal["fixed", "exponential"] = "fixed"
    max_delay: Duration | None = None


class OnError(Part):
    """What happens when the job fails in the end."""

    ignore: bool = False
    output: Tree = None
    to: Id | None = None


class Pause(Part):
    """When and with which words a run stops and waits for a person."""

    condition: Tree = None
    message: Text | None = None
    metadata: Tree = None


def _pause(value: Any) -> Any:
    return {} if value is True else None if value is False else value


_OptionalPause = Annotated[Pause | None, BeforeValidator(_pause, json_schema_input_type=bool | Pause | None)]


class Interrupt(Part):
    """Pause the run before or after the job."""

    before: _OptionalPause = None
    after: _OptionalPause = None


class JobBase(Part):
    """What all jobs have."""

    id: Id = "__job__"
    name: str | None = None
    depends_on: Annotated[tuple[Id | Annotated[tuple[Id, ...], Several()], ...], Several()] = ()
    retry: Annotated[Retry | None, BeforeValidator(_retry, json_schema_input_type=int | Retry | None)] = None
    on_error: Annotated[
        OnError | None, BeforeValidator(_on_error, json_schema_input_type=Literal["ignore"] | OnError | None)
    ] = None
    interrupt: Interrupt | None = None
    max_run_count: Annotated[int, Field(ge=1, le=100_000), IS_INTEGER] = 25


class Call(Part):
    """A call of a component: what a component job and the body of a for-each share."""

    component: Id | AnyComponent | None = None
    action: Id | None = None
    input: Tree = None
    output: Tree = None


class ComponentJob(JobBase, Call):
    """Call a component, once or ``repeat_count`` times."""

    type: Literal["component", "action"] = "component"
    repeat_count: _Count | None = None


class ForEachJob(JobBase):
    """Call a component for every item of a list."""

    type: Literal["for-each"]
    input: Tree = None
    batch_size: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=4096)])] | None = None
    do: Call
    output: Tree = None


class Condition(Part):
    """One condition of an ``if``."""

    operator: Operator = "eq"
    input: Tree = None
    value: Tree = None
    if_true: Id | None = None
    if_false: Id | None = None


class IfJob(JobBase):
    """Go to another job when a condition holds."""

    type: Literal["if"]
    input: Tree = None
    conditions: Annotated[tuple[Condition, ...], Several()]
    otherwise: Id | None = None


class Case(Part):
    """One case of a ``switch``."""

    value: Tree
    then: Id


class SwitchJob(JobBase):
    """Go to the job whose value matches."""

    type: Literal["switch"]
    input: Tree = None
    cases: Annotated[tuple[Case, ...], Several()]
    otherwise: Id | None = None


class Routing(Part):
    """One way of a ``random-router``."""

    to: Id
    weight: Annotated[float, Field(gt=0), IS_NUMBER] = 1.0


class RandomRouterJob(JobBase):
    """Go to one of several jobs by chance."""

    type: Literal["random-router"]
    mode: Literal["uniform", "weighted"] = "uniform"
    routings: Annotated[tuple[Routing, ...], Several()]


class Where(Part):
    """A test of one item, or a combination of tests."""

    input: Tree = None
    operator: Operator = "eq"
    value: Tree = None
    all: Annotated[tuple[Where, ...], Several()] | None = None
    any: Annotated[tuple[Where, ...], Several()] | None = None
    not_: Where | None = Field(default=None, alias="not")


class FilterJob(JobBase):
    """Keep the items of a list that pass a test."""

    type: Literal["filter"]
    input: Tree = None
    where: Where
    output: Tree = None


class DelayJob(JobBase):
    """Wait."""

    type: Literal["delay"]
    duration: Annotated[str | int | float | Template, ExpressionOr(Duration)]
    output: Tree = None


def _type(value: Any) -> str:
    found = tag(value, "type", "component")
    return "@component" if found == "@action" else found


AnyJob = Annotated[
    Annotated[ComponentJob, Tag("@component")]
    | Annotated[ForEachJob, Tag("@for-each")]
    | Annotated[IfJob, Tag("@if")]
    | Annotated[SwitchJob, Tag("@switch")]
    | Annotated[RandomRouterJob, Tag("@random-router")]
    | Annotated[FilterJob, Tag("@filter")]
    | Annotated[DelayJob, Tag("@delay")],
    Discriminator(
        _type,
        custom_error_type="job_type",
        custom_error_message="unknown job type",
    ),
]
"""A job, told apart by its ``type``."""


def routes(job: JobBase) -> tuple[str, ...]:
    """Return the ids a job may route to; those jobs start only when routed to."""
    found: list[str | None] = [job.on_error.to if job.on_error else None]
    match job:
        case IfJob():
            for condition in job.conditions:
                found += [condition.if_true, condition.if_false]
            found.append(job.otherwise)
        case SwitchJob():
            found += [case.then for case in job.cases]
            found.append(job.otherwise)
        case RandomRouterJob():
            found += [routing.to for routing in job.routings]
    return tuple(dict.fromkeys(name for name in found if name is not None))
