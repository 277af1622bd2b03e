"""What a run will do, checked before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mcnb.compose import Document
from mcnb.compose.durations import parse_duration
from mcnb.compose.expressions import Template
from mcnb.compose.schema import Action, Component, ComponentJob, JobBase, OnDemand, Workflow
from mcnb.errors import NotSupportedError
from mcnb.models.cache import ModelSpec

NOT_YET = "this version of mcnb checks it but cannot run it yet"


@dataclass(frozen=True)
class Pin:
    """What a repeated run must use: the revision, device and dtype of the first one."""

    revision: str | None
    device: str
    dtype: str


@dataclass(frozen=True)
class Step:
    """One job with what it calls.

    Attributes
    ----------
    job : ComponentJob
        The job.
    component, action
        What it calls.
    waits_for : tuple of str
        Ids of the jobs that come first.
    """

    job: ComponentJob
    component: Component
    action: Action
    waits_for: tuple[str, ...]

    def model(self, folder: Any, pin: Pin | None) -> ModelSpec:
        """Return what the model cache is asked for."""
        component = self.component
        source, device, precision = component.model, component.device, component.precision
        if pin is not None:
            device, precision = pin.device, pin.dtype
            if pin.revision and source.provider == "huggingface":
                source = source.model_copy(update={"revision": pin.revision})
            elif pin.revision and source.provider == "pypi":
                source = source.model_copy(update={"version": pin.revision})
        return ModelSpec(source, folder, device, precision, component.allow_pickle)

    @property
    def idle_timeout(self) -> float | None:
        """Seconds after which the model leaves memory when nobody uses it; None keeps it."""
        on_demand = self.component.on_demand
        if isinstance(on_demand, OnDemand):
            return parse_duration(on_demand.idle_timeout)
        return parse_duration(OnDemand().idle_timeout) if on_demand else None


@dataclass(frozen=True)
class Plan:
    """The jobs of a workflow in the order of the file, each with what it waits for.

    Attributes
    ----------
    document, workflow
        What is run.
    steps : tuple of Step
        The jobs.
    streamed : str or None
        The job whose text, as it is generated, is the output's text; None when the output is made otherwise.
    """

    document: Document
    workflow: Workflow
    steps: tuple[Step, ...]
    streamed: str | None

    @property
    def last(self) -> tuple[str, ...]:
        """The jobs nobody depends on: theirs is the workflow's output."""
        awaited = {name for step in self.steps for name in step.waits_for}
        return tuple(step.job.id for step in self.steps if step.job.id not in awaited)


def make_plan(document: Document, workflow: Workflow) -> Plan:
    """Plan a workflow.

    Raises
    ------
    NotSupportedError
        For parts that this version only validates.
    """
    steps = tuple(_step(document, job) for job in workflow.jobs)
    plan = Plan(document, workflow, steps, None)
    return Plan(document, workflow, steps, _streamed(plan))


def _step(document: Document, job: JobBase) -> Step:
    where = f"job '{job.id}'"
    if not isinstance(job, ComponentJob):
        raise NotSupportedError(f"{where}: the type '{getattr(job, 'type', '?')}' is not supported yet", hint=NOT_YET)
    for name in ("retry", "on_error", "interrupt"):
        if getattr(job, name) is not None:
            raise NotSupportedError(f"{where}: '{name}' is not supported yet", hint=NOT_YET)
    waits_for = []
    for entry in job.depends_on:
        if not isinstance(entry, str):
            raise NotSupportedError(f"{where}: 'depends_on' with any-of groups is not supported yet", hint=NOT_YET)
        waits_for.append(entry)
    component, action = document.called(job)
    _check_component(component, action)
    return Step(job, component, action, tuple(waits_for))


def _check_component(component: Component, action: Action) -> None:
    where = f"component '{component.id}'"
    unsupported: Mapping[str, bool] = {
        "task: chat-completion": getattr(component, "task", "") == "chat-completion",
        f"driver: {component.driver}": component.driver != "huggingface",
        "quantization": component.quantization is not None,
        "peft_adapters": bool(component.peft_adapters),
    }
    for name, used in unsupported.items():
        if used:
            raise NotSupportedError(f"{where}: '{name}' is not supported yet", hint=NOT_YET)


def _streamed(plan: Plan) -> str | None:
    if len(plan.last) != 1:
        return None
    step = next(step for step in plan.steps if step.job.id == plan.last[0])
    one = step.job.repeat_count is None and not isinstance(getattr(step.action, "prompt", None), list)
    several = step.action.num_return_sequences not in (None, 1)
    whole = (
        _passes(step.action.output, "result")
        and _passes(step.job.output, "output", named=True)
        and _passes(plan.workflow.output, "output", named=True)
    )
    return step.job.id if one and whole and not several else None


def _passes(tree: Any, root: str, *, named: bool = False) -> bool:
    """Whether an output template gives its source on unchanged, at most under one name."""
    if tree is None:
        return True
    if named and isinstance(tree, dict) and len(tree) == 1:
        (tree,) = tree.values()
    sole = tree.sole if isinstance(tree, Template) else None
    if sole is None or sole.root not in (root, f"{root}[]") or sole.steps or sole.default:
        return False
    return sole.type is None or sole.type.name in ("text", "string", "stream")
