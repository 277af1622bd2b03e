"""What a run will do, checked before it starts."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mcnb.compose import Document
from mcnb.compose.durations import parse_duration
from mcnb.compose.expressions import Template
from mcnb.compose.schema import Action, Component, ComponentJob, JobBase, OnDemand, Workflow
from mcnb.errors import NotSupportedError, UnsupportedModelError
from mcnb.models.cache import ModelSpec
from mcnb.runtime.wording import part_name

_TEXTS = ("text", "string", "stream")

NOT_YET = "remove it, or wait for a version of mcnb that runs it"

MODEL_PACKAGES = ("torch", "transformers", "huggingface_hub", "safetensors", "filelock", "psutil", "tqdm")
"""What every model needs beyond what reading a document needs."""


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
    """The jobs of a workflow in the order of the file, each with what it waits for.

    Attributes
    ----------
    document, workflow
        What is run.
    steps : tuple of Step
        The jobs.
    shown : str or None
        The job whose text, as it is generated, is the output's text; None when the output is made otherwise. Whether
        its prompt is a list, and its output one too, shows only when the prompt is rendered.
    """

    document: Document
    workflow: Workflow
    steps: tuple[Step, ...]
    shown: str | None

    @property
    def streamed(self) -> str | None:
        """The job ``shown``, unless a person may put another text in place of its own."""
        job = next((step.job for step in self.steps if step.job.id == self.shown), None)
        return None if job is None or (job.interrupt is not None and job.interrupt.after is not None) else job.id

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


def components_of(document: Document) -> list[Component]:
    """Return all components of a document, those that stand within a job included."""
    inline = [job.component for w in document.workflows for job in w.jobs if isinstance(job, ComponentJob)]
    return [*document.spec.components, *(item for item in inline if isinstance(item, Component))]


def preloaded(document: Document) -> list[ModelSpec]:
    """Return the models to load as soon as a document is: those of runnable components that say ``preload: true``."""
    wanted = [item for item in components_of(document) if item.preload and not _unsupported(item)]
    return [_spec(component, document.folder) for component in wanted]


def check_installed() -> None:
    """Make sure that what runs models is there: documents are loaded and checked without it.

    Raises
    ------
    UnsupportedModelError
    """
    for name in MODEL_PACKAGES:
        try:
            found = name in sys.modules or importlib.util.find_spec(name)
        except ImportError:
            found = None
        if not found:
            raise UnsupportedModelError(
                f"running models needs {name}, which is not installed", hint="pip install 'mcnb[kernel]'"
            )


def _step(document: Document, job: JobBase) -> Step:
    where = part_name("job", job.id)
    if not isinstance(job, ComponentJob):
        raise NotSupportedError(f"{where}: the type '{getattr(job, 'type', '?')}' is not supported yet", hint=NOT_YET)
    for name in ("retry", "on_error"):
        if getattr(job, name) is not None:
            raise NotSupportedError(f"{where}: '{name}' is not supported yet", hint=NOT_YET)
    waits_for = []
    for entry in job.depends_on:
        if not isinstance(entry, str):
            raise NotSupportedError(f"{where}: 'depends_on' with any-of groups is not supported yet", hint=NOT_YET)
        waits_for.append(entry)
    component, action = document.called(job)
    if found := _unsupported(component):
        raise NotSupportedError(f"{part_name('component', component.id)}: '{found}' is not supported yet", hint=NOT_YET)
    return Step(job, component, action, tuple(waits_for))


def _unsupported(component: Component) -> str | None:
    """Return what this version cannot run of a component, if anything."""
    asked = {
        f"driver: {component.driver}": component.driver != "huggingface",
        "quantization": component.quantization is not None,
        "peft_adapters": bool(component.peft_adapters),
    }
    return next((name for name, used in asked.items() if used), None)


def _spec(component: Component, folder: Path) -> ModelSpec:
    return ModelSpec(component.model, folder, component.device, component.precision, component.allow_pickle)


def _streamed(plan: Plan) -> str | None:
    if len(plan.last) != 1:
        return None
    step = next(step for step in plan.steps if step.job.id == plan.last[0])
    action, job = step.action, step.job
    one = job.repeat_count is None and not isinstance(getattr(action, "prompt", None), list)
    if not one or action.num_return_sequences not in (None, 1):
        return None
    named = False
    for tree, root in ((action.output, "result"), (job.output, "output"), (plan.workflow.output, "output")):
        inner = tree
        if isinstance(tree, dict) and len(tree) == 1 and not named:
            (inner,) = tree.values()
        if inner is not None and not _passes(inner, root, is_text=not named):
            return None
        named = named or inner is not tree
    return job.id


def _passes(tree: Any, root: str, *, is_text: bool) -> bool:
    """Whether an output template gives its source on unchanged; a source that is no text survives no cast to one."""
    sole = tree.sole if isinstance(tree, Template) else None
    if sole is None or sole.root not in (root, f"{root}[]") or sole.steps or sole.default:
        return False
    return sole.type is None or (is_text and sole.type.name in _TEXTS and not sole.type.is_array)
