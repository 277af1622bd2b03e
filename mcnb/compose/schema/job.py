"""``job``: one step of a workflow."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from mcnb.compose.expressions import Template
from mcnb.compose.schema.base import ExpressionOr, Part, Tree, tag
from mcnb.compose.schema.component import AnyComponent
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.policies import Interrupt, OptionalOnError, OptionalRetry
from mcnb.compose.schema.scalars import IS_INTEGER, IS_NUMBER, SPAN, Duration, Id

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
_TYPE = "Which kind of job it is."
_Count = Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, le=100_000)])]


class JobBase(Part):
    """What all jobs have."""

    id: Id = Field(default="__job__", description="The name that others refer to it by.")
    name: str | None = Field(default=None, description="A name for people.")
    depends_on: Annotated[tuple[Id | Annotated[tuple[Id, ...], Several()], ...], Several()] = Field(
        default=(), description="Jobs to wait for; a list within the list waits for any of its jobs."
    )
    retry: OptionalRetry = Field(default=None, description="Attempts, or a mapping that says more.")
    on_error: OptionalOnError = Field(default=None, description="What happens when it fails in the end.")
    interrupt: Interrupt | None = Field(default=None, description="Where the run waits for a person.")
    max_run_count: Annotated[int, Field(ge=1, le=100_000), IS_INTEGER] = Field(
        default=25, description="Times it may be routed to in one run: the end of a loop."
    )


class Call(Part):
    """A call of a component: what a component job and the body of a for-each share."""

    component: Id | AnyComponent | None = Field(
        default=None, description="The id of a component, or a component itself; the default one unless given."
    )
    action: Id | None = Field(default=None, description="The id of one of its actions; the default one unless given.")
    input: Tree = Field(
        default=None, description="What the action sees as `${input}`; the workflow's own unless given."
    )
    output: Tree = Field(default=None, description="What the job gives, from `${output}`.")


class ComponentJob(JobBase, Call):
    """Call a component, once or ``repeat_count`` times."""

    type: Literal["component", "action"] = Field(default="component", description=_TYPE)
    repeat_count: _Count | None = Field(
        default=None, description="Call it so many times; `${index}` counts from 0, and the output is a list."
    )


class ForEachJob(JobBase):
    """Call a component for every item of a list."""

    type: Literal["for-each"] = Field(description=_TYPE)
    input: Tree = Field(default=None, description="The list.")
    batch_size: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=4096)])] | None = Field(
        default=None, description="Items that are handed to the model at once; 16 unless given."
    )
    do: Call = Field(description="What is called for each: `${item}`, and `${index}` from 0.")
    output: Tree = Field(default=None, description="What the job gives, from the list in `${output}`.")


class Condition(Part):
    """One condition of an ``if``."""

    operator: Operator = Field(default="eq", description="How the two are compared.")
    input: Tree = Field(default=None, description="What is compared; the job's `input` unless given.")
    value: Tree = Field(default=None, description="What it is compared with.")
    if_true: Id | None = Field(default=None, description="The job to go to when it holds.")
    if_false: Id | None = Field(default=None, description="The job to go to when it does not.")


class IfJob(JobBase):
    """Go to another job when a condition holds."""

    type: Literal["if"] = Field(description=_TYPE)
    input: Tree = Field(default=None, description="What conditions compare that have no `input` of their own.")
    conditions: Annotated[tuple[Condition, ...], Several()] = Field(
        description="Tried in order; the first that names a job decides."
    )
    otherwise: Id | None = Field(default=None, description="The job to go to when none does.")


class Case(Part):
    """One case of a ``switch``."""

    value: Tree = Field(description="What the switch's input has to equal.")
    then: Id = Field(description="The job to go to.")


class SwitchJob(JobBase):
    """Go to the job whose value matches."""

    type: Literal["switch"] = Field(description=_TYPE)
    input: Tree = Field(default=None, description="What is compared with the cases.")
    cases: Annotated[tuple[Case, ...], Several()] = Field(description="Tried in order.")
    otherwise: Id | None = Field(default=None, description="The job to go to when none matches.")


class Routing(Part):
    """One way of a ``random-router``."""

    to: Id = Field(description="The job to go to.")
    weight: Annotated[float, Field(gt=0), IS_NUMBER] = Field(
        default=1.0, description="How often, beside the others; `mode: weighted` reads it."
    )


class RandomRouterJob(JobBase):
    """Go to one of several jobs by chance."""

    type: Literal["random-router"] = Field(description=_TYPE)
    mode: Literal["uniform", "weighted"] = Field(default="uniform", description="Each as often, or by weight.")
    routings: Annotated[tuple[Routing, ...], Several()] = Field(description="The ways.")


class Where(Part):
    """A test of one item, or a combination of tests."""

    input: Tree = Field(default=None, description="What is compared, from `${item}`; the item itself unless given.")
    operator: Operator = Field(default="eq", description="How the two are compared.")
    value: Tree = Field(default=None, description="What it is compared with.")
    all: Annotated[tuple[Where, ...], Several()] | None = Field(
        default=None, description="Tests that all have to hold."
    )
    any: Annotated[tuple[Where, ...], Several()] | None = Field(
        default=None, description="Tests of which one has to hold."
    )
    not_: Where | None = Field(default=None, alias="not", description="A test that must not hold.")


class FilterJob(JobBase):
    """Keep the items of a list that pass a test."""

    type: Literal["filter"] = Field(description=_TYPE)
    input: Tree = Field(default=None, description="The list.")
    where: Where = Field(description="The test.")
    output: Tree = Field(default=None, description="What the job gives, from the list in `${output}`.")


class DelayJob(JobBase):
    """Wait."""

    type: Literal["delay"] = Field(description=_TYPE)
    duration: Annotated[str | int | float | Template, ExpressionOr(Duration)] = Field(description="How long. " + SPAN)
    output: Tree = Field(default=None, description="What the job gives.")


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
