"""The picture of a workflow: jobs, the components they call and what follows what, in Mermaid's language.

GitHub, JupyterLab and most editors draw such a text inside a fenced block of the language ``mermaid``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from mcnb.compose.document import Document
from mcnb.compose.expressions import Template
from mcnb.compose.schema import Component, ComponentJob, ForEachJob, JobBase, Workflow
from mcnb.compose.schema.job import (
    Call,
    Condition,
    DelayJob,
    FilterJob,
    IfJob,
    RandomRouterJob,
    SwitchJob,
    routes,
)
from mcnb.compose.schema.sources import HuggingFaceSource, LocalSource

LONGEST = 60
"""Characters of a title or a label; the rest is cut."""

_RETURNED = {"text-generation": "generated text", "chat-completion": "answer", "text-to-text": "output text"}

_KINDS = {IfJob: "if", SwitchJob: "switch", RandomRouterJob: "random choice", FilterJob: "filter"}

_MEANING = '"<>&#`|\\'
"""Characters that end a quoted text, or are read as HTML, Markdown or an entity."""


def mermaid(document: Document, workflow: Workflow) -> str:
    """Draw a workflow.

    Parameters
    ----------
    document : Document
        The document that the workflow stands in.
    workflow : Workflow
        One of ``document.workflows``.

    Returns
    -------
    str
        A ``graph TD``: jobs are round, components are boxes; a solid arrow calls a component or leads to the next job,
        a dotted one brings back what was made, or leads to where a failed job goes. Ends with a line break.
    """
    jobs = {job.id: f"J{number}" for number, job in enumerate(workflow.jobs, 1)}
    components = _components(document, workflow)
    lines = [f'{jobs[job.id]}(("{_job_text(job)}"))' for job in workflow.jobs]
    lines += [f'{name}["{_text(_title(component))}<br/>component"]' for name, component in components.values()]
    lines += _calls(document, workflow, jobs, components)
    lines += _ways(workflow, jobs)
    return "\n".join(["graph TD", *(f"    {line}" for line in lines)]) + "\n"


def _components(document: Document, workflow: Workflow) -> dict[int, tuple[str, Component]]:
    """Find the components that are called, each once, and name their nodes."""
    found: dict[int, tuple[str, Component]] = {}
    for job in workflow.jobs:
        if (call := _call(job)) is not None:
            component, _ = document.called(call)
            found.setdefault(id(component), (f"C{len(found) + 1}", component))
    return found


def _calls(
    document: Document, workflow: Workflow, jobs: dict[str, str], components: dict[int, tuple[str, Component]]
) -> Iterator[str]:
    for job in workflow.jobs:
        if (call := _call(job)) is None:
            continue
        component, action = document.called(call)
        here, there = jobs[job.id], components[id(component)][0]
        asked = [] if action.id.startswith("__") else [action.id]
        asked += ["each item"] if isinstance(job, ForEachJob) else []
        yield _arrow(here, there, ", ".join(asked))
        several = isinstance(job, ForEachJob) or getattr(job, "repeat_count", None) is not None
        several = several or isinstance(getattr(action, "prompt", None), list)
        several = several or action.num_return_sequences not in (None, 1)
        returned = _RETURNED[getattr(component, "task", "text-generation")]
        yield _arrow(there, here, returned + ("s" if several else ""), dotted=True)


def _call(job: JobBase) -> Call | None:
    return job.do if isinstance(job, ForEachJob) else job if isinstance(job, ComponentJob) else None


def _ways(workflow: Workflow, jobs: dict[str, str]) -> Iterator[str]:
    """Say what comes before and after each job."""
    awaited = {name for job in workflow.jobs for name, _ in _waits_for(job)}
    routed = {name for job in workflow.jobs for name in routes(job)}
    for job in workflow.jobs:
        if not job.depends_on and job.id not in routed:
            yield _arrow("Input((Input))", jobs[job.id])
    for job in workflow.jobs:
        for name, label in _waits_for(job):
            if job.id not in _regular_routes(workflow, name):  # the routing says it better
                yield _arrow(jobs[name], jobs[job.id], label)
    for job in workflow.jobs:
        for name, label in _routings(job):
            yield _arrow(jobs[job.id], jobs[name], label)
        if job.on_error is not None and job.on_error.to is not None:
            yield _arrow(jobs[job.id], jobs[job.on_error.to], "on error", dotted=True)
    for job in workflow.jobs:
        if job.id not in awaited and not any(True for _ in _routings(job)):
            yield _arrow(jobs[job.id], "Output((Output))")


def _waits_for(job: JobBase) -> Iterator[tuple[str, str]]:
    for entry in job.depends_on:
        for name in (entry,) if isinstance(entry, str) else entry:
            yield name, "" if isinstance(entry, str) or len(entry) == 1 else "any of"


def _regular_routes(workflow: Workflow, name: str) -> set[str]:
    job = next(job for job in workflow.jobs if job.id == name)
    return {to for to, _ in _routings(job)}


def _routings(job: JobBase) -> Iterator[tuple[str, str]]:
    """Where a job leads to when it does not fail, and when it goes there."""
    if isinstance(job, IfJob):
        for condition in job.conditions:
            if condition.if_true is not None:
                yield condition.if_true, _condition(job, condition)
            if condition.if_false is not None:
                yield condition.if_false, f"not: {_condition(job, condition)}"
    elif isinstance(job, SwitchJob):
        for case in job.cases:
            yield case.then, _plain(case.value)
    elif isinstance(job, RandomRouterJob):
        weights = [item.weight if job.mode == "weighted" else 1.0 for item in job.routings]
        for item, weight in zip(job.routings, weights, strict=True):
            yield item.to, f"{100 * weight / sum(weights):.3g} %"
    if isinstance(job, IfJob | SwitchJob) and job.otherwise is not None:
        yield job.otherwise, "otherwise"


def _condition(job: IfJob, condition: Condition) -> str:
    tested = condition.input if condition.input is not None else job.input
    return f"{_plain(tested)} {condition.operator} {_plain(condition.value)}"


def _job_text(job: JobBase) -> str:
    title = job.name or ("default" if job.id.startswith("__") else job.id)
    kind = "for each" if isinstance(job, ForEachJob) else _KINDS.get(type(job), "job")
    if isinstance(job, DelayJob):
        kind = f"wait {_length(job.duration)}"
    return "<br/>".join(map(_text, [title, kind, *_notes(job)]))


def _notes(job: JobBase) -> Iterator[str]:
    if isinstance(job, ComponentJob) and job.repeat_count is not None:
        yield f"{job.repeat_count} times"
    if job.retry is not None and job.retry.max_attempt_count > 1:
        yield f"up to {job.retry.max_attempt_count} attempts"
    if job.on_error is not None and job.on_error.ignore:
        yield "errors ignored"
    if job.interrupt is not None and job.interrupt.before is not None:
        yield "pauses before"
    if job.interrupt is not None and job.interrupt.after is not None:
        yield "pauses after"


def _length(duration: Any) -> str:
    return f"{duration:g} s" if isinstance(duration, int | float) else str(duration)


def _title(component: Component) -> str:
    if component.title or component.name:
        return str(component.title or component.name)
    if not component.id.startswith("__"):
        return component.id
    source = component.model
    if isinstance(source, HuggingFaceSource):
        return source.repository
    return source.path if isinstance(source, LocalSource) else source.package


def _plain(tree: Any) -> str:
    """Write a value of the document: of an expression what it looks up, without type, default and description."""
    if isinstance(tree, Template):
        return "".join(part if isinstance(part, str) else f"${{{part.path}}}" for part in tree.parts)
    if isinstance(tree, str):
        return tree
    return json.dumps(tree, default=str, ensure_ascii=False)


def _arrow(start: str, end: str, label: str = "", *, dotted: bool = False) -> str:
    arrow = "-.->" if dotted else "-->"
    return f'{start} {arrow}|"{_text(label)}"| {end}' if label else f"{start} {arrow} {end}"


def _text(text: str) -> str:
    """Write a text so that it means nothing to Mermaid, HTML or Markdown, to stand in double quotes."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    if len(line) > LONGEST:
        line = line[: LONGEST - 1].rstrip() + "…"
    risky = _MEANING
    if "%%" in line:  # a comment or a directive, wherever it stands
        risky += "%"
    if "style" in line or "classDef" in line:  # a line that looks like "style a:#fff;" loses its last semicolon
        risky += ":"
    escaped = "".join(f"#{ord(char)};" if char in risky else char for char in line)
    return escaped or "#160;"
