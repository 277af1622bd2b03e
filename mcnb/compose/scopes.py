"""What the expressions of a document may look into, place by place, and what their annotations say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mcnb.compose.expressions import Expression, Template, walk
from mcnb.compose.expressions.casts import cast
from mcnb.compose.expressions.grammar import Key
from mcnb.compose.inputs import parse_range
from mcnb.compose.nodes import KeyPath, Node, show_path
from mcnb.compose.schema import Action, Component, ComponentJob, ForEachJob, JobBase, Workflow
from mcnb.compose.schema.job import Call
from mcnb.compose.suggest import suggestion
from mcnb.errors import Problem

EVERYWHERE = ("env", "context")
ACTION = ("input", *EVERYWHERE)
RESULT = ("input", "result", "result[]", *EVERYWHERE)
CALL_INPUT = ("input", "jobs", *EVERYWHERE)
REPEATED_INPUT = ("input", "jobs", "index", *EVERYWHERE)
ITEM_INPUT = ("input", "jobs", "item", "index", *EVERYWHERE)
JOB = ("input", "output", "jobs", "error", "item", "index", *EVERYWHERE)
WORKFLOW = ("input", "output", "jobs", *EVERYWHERE)

_MEMBERS = {"context": ("run_id",), "error": ("message", "code")}
"""What there is under a root whose names are fixed."""


@dataclass(frozen=True)
class Scopes:
    """Checks expressions against what is known where they stand.

    Parameters
    ----------
    root : Node
        The document as read, for places.
    """

    root: Node

    def action(self, path: KeyPath, action: Action) -> Iterator[Problem]:
        """Check an action: its output sees the result, everything else the action's input."""
        for name in type(action).model_fields:
            roots = RESULT if name == "output" else ACTION
            yield from self.tree((*path, name), getattr(action, name), roots)

    def workflow(self, path: KeyPath, workflow: Workflow) -> Iterator[Problem]:
        """Check a workflow's jobs and its output."""
        jobs = tuple(job.id for job in workflow.jobs)
        for number, job in enumerate(workflow.jobs):
            yield from self.job((*path, "jobs", number), job, jobs)
        yield from self.tree((*path, "output"), workflow.output, WORKFLOW, jobs)

    def job(self, path: KeyPath, job: JobBase, jobs: tuple[str, ...]) -> Iterator[Problem]:
        """Check one job; the component it may hold is checked by itself."""
        for name in type(job).model_fields:
            value = getattr(job, name)
            if isinstance(value, Component | Call):
                continue
            roots: Sequence[str] = JOB
            if name in ("repeat_count", "batch_size"):
                roots = CALL_INPUT
            elif name == "input" and isinstance(job, ComponentJob):
                roots = REPEATED_INPUT if job.repeat_count is not None else CALL_INPUT
            yield from self.tree((*path, name), value, roots, jobs)
        if isinstance(job, ForEachJob):
            yield from self.tree((*path, "do", "input"), job.do.input, ITEM_INPUT, jobs)
            yield from self.tree((*path, "do", "output"), job.do.output, JOB, jobs)

    def tree(self, path: KeyPath, tree: Any, roots: Sequence[str], jobs: tuple[str, ...] = ()) -> Iterator[Problem]:
        """Check every expression below a place."""
        for place, template in templates(tree, path):
            node, _ = self.root.child(place)
            for expression, _ in walk(template):
                where = node.at_offset(expression.offset)
                for message, hint in _wrong(expression, roots, jobs):
                    yield Problem(message, where, show_path(place), hint)


def _wrong(expression: Expression, roots: Sequence[str], jobs: tuple[str, ...]) -> Iterator[tuple[str, str | None]]:
    written = f"${{{expression.path}}}"
    root, names = expression.root, [step.name if isinstance(step, Key) else None for step in expression.steps[:2]]
    if root not in roots:
        hint = suggestion(root, roots, label="known here")
        if root == "index":
            hint = "there is an index where 'repeat_count' is set, and in a for-each"
        yield f"{written}: there is no '{root}' here", hint
    elif root == "jobs" and names and names[0] is not None:
        if names[0] not in jobs:
            yield f"{written}: there is no job '{names[0]}'", suggestion(names[0], jobs)
        elif len(names) > 1 and names[1] != "output":
            yield f"{written}: a job has nothing but its output", f"write ${{jobs.{names[0]}.output}}"
    elif root in _MEMBERS and names and names[0] not in _MEMBERS[root]:
        yield f"{written}: there is no such thing", f"known: {', '.join(f'{root}.{name}' for name in _MEMBERS[root])}"
    yield from _wrong_range(expression)


def _wrong_range(expression: Expression) -> Iterator[tuple[str, str | None]]:
    """Check ``@(range low..high)``, and a constant default against it."""
    text = dict(expression.annotations).get("range")
    if text is None:
        return
    try:
        low, high = parse_range(text)
    except ValueError as error:
        yield f"${{{expression.path}}}: {error}", None
        return
    spec, default = expression.type, expression.default
    if spec is None or spec.name not in ("integer", "number") or default is None or not default.is_constant:
        return
    value = cast(default.constant, spec, what=expression.path)
    values = value if isinstance(value, list) else [value]
    if any((low is not None and item < low) or (high is not None and item > high) for item in values):
        yield f"${{{expression.path}}}: the default {default.constant} is outside of its range {text}", None


def templates(tree: Any, path: KeyPath) -> Iterator[tuple[KeyPath, Template]]:
    """Yield every template below a place, with its own."""
    if isinstance(tree, Template):
        yield path, tree
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from templates(value, (*path, key))
    elif isinstance(tree, list | tuple):
        for number, value in enumerate(tree):
            yield from templates(value, (*path, number))
    elif hasattr(type(tree), "model_fields"):
        for name, field in type(tree).model_fields.items():
            yield from templates(getattr(tree, name), (*path, field.alias or name))
