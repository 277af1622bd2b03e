"""What a run will do, checked before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mcnb.compose import Document
from mcnb.compose.durations import parse_duration
from mcnb.compose.flow import Flow
from mcnb.compose.schema import Action, Component, ComponentJob, EngineOptions, ForEachJob, OnDemand, Workflow
from mcnb.compose.schema.job import Call
from mcnb.models.spec import ModelSpec
from mcnb.runtime.engines import check_installed, unsupported


@dataclass(frozen=True)
class Pin:
    """What a repeated run must use: revision, device and dtype of the first one, and what its chats took for now."""

    revision: str | None
    device: str
    dtype: str
    now: float | None = None


@dataclass(frozen=True)
class Step:
    """One job with what it calls.

    Attributes
    ----------
    job : ComponentJob or ForEachJob
        The job.
    component, action
        What it calls.
    """

    job: ComponentJob | ForEachJob
    component: Component
    action: Action

    def model(self, folder: Path, pin: Pin | None) -> ModelSpec:
        """Return what the model cache is asked for."""
        spec = _spec(self.component, folder)
        if pin is None:
            return spec
        source = spec.source
        if pin.revision and source.provider == "huggingface":
            source = source.model_copy(update={"revision": pin.revision})
        elif pin.revision and source.provider == "pypi":
            source = source.model_copy(update={"version": pin.revision})
        if spec.driver == "openai":  # where it runs is the server's business
            return replace(spec, source=source)
        if spec.driver != "huggingface":  # its precision is that of its file
            return replace(spec, source=source, device=pin.device)
        return replace(spec, source=source, device=pin.device, precision=pin.dtype)

    @property
    def idle_timeout(self) -> float | None:
        """Seconds after which the model leaves memory when nobody uses it; None keeps it."""
        on_demand = self.component.on_demand
        if isinstance(on_demand, OnDemand):
            return parse_duration(on_demand.idle_timeout)
        return parse_duration(OnDemand().idle_timeout) if on_demand else None


@dataclass(frozen=True)
class Plan:
    """The jobs of a workflow, how they follow each other and what they call.

    Attributes
    ----------
    document, workflow
        What is run.
    flow : Flow
        How the jobs follow each other.
    calls : mapping of str to Step
        By id, the jobs that call a component.
    """

    document: Document
    workflow: Workflow
    flow: Flow
    calls: Mapping[str, Step]

    def check_installed(self) -> None:
        """Make sure that the engines it needs are there.

        Raises
        ------
        UnsupportedModelError
        """
        check_installed(step.component for step in self.calls.values())


def make_plan(document: Document, workflow: Workflow) -> Plan:
    """Plan a workflow.

    Raises
    ------
    NotSupportedError
        For parts that this version only validates.
    """
    steps = [_step(document, job) for job in workflow.jobs if isinstance(job, ComponentJob | ForEachJob)]
    return Plan(document, workflow, Flow.of(workflow.jobs), {step.job.id: step for step in steps})


def components_of(document: Document) -> list[Component]:
    """Return all components of a document, those that stand within a job included."""
    calls = [job.do if isinstance(job, ForEachJob) else job for w in document.workflows for job in w.jobs]
    inline = [call.component for call in calls if isinstance(call, Call) and isinstance(call.component, Component)]
    return [*document.spec.components, *inline]


def preloaded(document: Document) -> list[ModelSpec]:
    """Return the models to load as soon as a document is: those of runnable components that say ``preload: true``."""
    wanted = [item for item in components_of(document) if item.preload and not unsupported(item)]
    return [_spec(component, document.folder) for component in wanted]


def _step(document: Document, job: ComponentJob | ForEachJob) -> Step:
    component, action = document.called(job.do if isinstance(job, ForEachJob) else job)
    if found := unsupported(component):
        raise found
    return Step(job, component, action)


def _spec(component: Component, folder: Path) -> ModelSpec:
    asked = component.quantization
    said = None if component.precision == "auto" else component.precision
    return ModelSpec(
        component.model,
        folder,
        component.device,
        component.precision if asked is None else asked.type,
        component.allow_pickle,
        component.driver,
        component.options or EngineOptions(),
        component.peft_adapters,
        None if asked is None else asked.compute_dtype or said,
        asked is not None and asked.double_quant,
    )
