"""What must hold between the parts of a document: ids, references, cycles; and that lists are not empty."""

from __future__ import annotations

import graphlib
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from mcnb.compose.engine_options import check_options
from mcnb.compose.nodes import KeyPath, Node, show_path
from mcnb.compose.references import doubtful, impossible
from mcnb.compose.schema import Action, Component, ComposeFile, JobBase, Workflow
from mcnb.compose.schema.job import (
    Call,
    ComponentJob,
    FilterJob,
    ForEachJob,
    IfJob,
    RandomRouterJob,
    SwitchJob,
    Where,
)
from mcnb.compose.scopes import Scopes
from mcnb.compose.suggest import listed, suggestion
from mcnb.errors import Problem


def check(spec: ComposeFile, root: Node) -> Iterator[Problem]:
    """Yield everything that does not hold between the parts of a document."""
    return _Checker(spec, root).problems()


def warn(spec: ComposeFile, root: Node) -> Iterator[Problem]:
    """Yield what is allowed in a good document and is hardly meant."""
    for number, workflow in enumerate(spec.workflows):
        yield from doubtful(root, ("workflows", number), workflow)


class _Checker:
    def __init__(self, spec: ComposeFile, root: Node) -> None:
        self.spec = spec
        self.root = root
        self.scopes = Scopes(root)

    def problem(self, path: KeyPath, message: str, hint: str | None = None) -> Problem:
        node, _ = self.root.child(path)
        return Problem(message, node.place, show_path(path), hint)

    def problems(self) -> Iterator[Problem]:
        spec = self.spec
        if not spec.components and not spec.workflows:
            hint = "add 'component:' with 'model' and 'text'"
            yield Problem("the document has no component and no workflow", self.root.location, hint=hint)
        yield from self.unique(("components",), spec.components, "component")
        yield from self.unique(("workflows",), spec.workflows, "workflow")
        for number, component in enumerate(spec.components):
            yield from self.component(("components", number), component)
        for number, workflow in enumerate(spec.workflows):
            yield from self.workflow(("workflows", number), workflow)
        if not spec.workflows and spec.components:
            yield from self.default_component((), needed_by="the document")

    def unique(self, path: KeyPath, parts: Sequence[Any], what: str) -> Iterator[Problem]:
        for name, count in Counter(part.id for part in parts).items():
            if count > 1:
                last = max(number for number, part in enumerate(parts) if part.id == name)
                if name.startswith("__"):
                    yield self.problem((*path, last), f"{count} {what}s have no id", "give each an 'id'")
                else:
                    message = f"{count} {what}s have the id '{name}'"
                    yield self.problem((*path, last, "id"), message, "ids have to differ")
        if what != "job":
            defaults = [number for number, part in enumerate(parts) if part.default]
            for number in defaults[1:]:
                yield self.problem((*path, number, "default"), f"more than one {what} is marked as default")

    def component(self, path: KeyPath, component: Component) -> Iterator[Problem]:
        actions = component.all_actions
        yield from self.filled((*path, "actions"), actions, "a component needs at least one action")
        yield from self.unique((*path, "actions"), actions, "action")
        yield from check_options(path, component, self.root)
        for number, action in enumerate(actions):
            yield from self.action((*path, "actions", number), action)

    def action(self, path: KeyPath, action: Action) -> Iterator[Problem]:
        yield from self.scopes.action(path, action)
        for name in ("prompt", "messages"):
            if getattr(action, name, None) == []:
                yield self.problem((*path, name), f"{name}: an empty list asks for nothing")
        low, high = action.min_output_length, action.max_output_length
        if isinstance(low, int) and isinstance(high, int) and low > high:
            message = f"min_output_length {low} is more than max_output_length {high}"
            yield self.problem((*path, "min_output_length"), message)

    def filled(self, path: KeyPath, parts: Sequence[Any], message: str) -> Iterator[Problem]:
        if not parts:
            yield self.problem(path, message)

    def workflow(self, path: KeyPath, workflow: Workflow) -> Iterator[Problem]:
        yield from self.filled((*path, "jobs"), workflow.jobs, "a workflow needs at least one job")
        yield from self.unique((*path, "jobs"), workflow.jobs, "job")
        yield from self.scopes.workflow(path, workflow)
        jobs = {job.id: number for number, job in enumerate(workflow.jobs)}
        graph: dict[str, list[str]] = {}
        for number, job in enumerate(workflow.jobs):
            here: KeyPath = (*path, "jobs", number)
            waits_for = list(_dependencies(job))
            graph[job.id] = [name for _, name in waits_for if name in jobs]
            yield from self.known_jobs(here, [*waits_for, *_routes(job)], jobs)
            yield from self.job(here, job)
        try:
            graphlib.TopologicalSorter(graph).prepare()
        except graphlib.CycleError as error:
            circle = list(reversed(error.args[1]))
            number = jobs[circle[0]]
            message = f"jobs wait for each other in a circle: {' -> '.join(circle[:20])}"
            yield self.problem((*path, "jobs", number, "depends_on"), message, "break the circle")
        else:
            yield from impossible(self.root, path, workflow)

    def known_jobs(
        self, path: KeyPath, named: Iterable[tuple[KeyPath, str]], jobs: Collection[str]
    ) -> Iterator[Problem]:
        for place, name in named:
            if name not in jobs:
                message = f"{place[0]}: there is no job '{name}'"
                node, _ = self.root.child((*path, *place))
                yield Problem(message, node.location, show_path((*path, *place)), suggestion(name, jobs))

    def job(self, path: KeyPath, job: JobBase) -> Iterator[Problem]:
        if isinstance(job, ComponentJob):
            yield from self.call(path, job)
        elif isinstance(job, ForEachJob):
            yield from self.call((*path, "do"), job.do)
        elif isinstance(job, FilterJob):
            yield from self.where((*path, "where"), job.where)
        elif isinstance(job, IfJob):
            yield from self.filled((*path, "conditions"), job.conditions, "'conditions' needs at least one condition")
        elif isinstance(job, SwitchJob):
            yield from self.filled((*path, "cases"), job.cases, "'cases' needs at least one case")
        elif isinstance(job, RandomRouterJob):
            yield from self.filled((*path, "routings"), job.routings, "'routings' needs at least one routing")

    def where(self, path: KeyPath, where: Where) -> Iterator[Problem]:
        """Check that a test compares a value or combines other tests: not both, and not nothing."""
        combined = {"all": where.all, "any": where.any, "not": where.not_}
        used = [name for name, inner in combined.items() if inner is not None]
        compares = where.model_fields_set & {"input", "operator", "value"}
        if len(used) + bool(compares) != 1:
            hint = "write input, operator and value, or one of all, any and not"
            yield self.problem(path, "a test either compares a value or combines other tests", hint)
        for name in used:
            inner = combined[name]
            if isinstance(inner, Where):
                yield from self.where((*path, name), inner)
                continue
            yield from self.filled((*path, name), inner or (), f"'{name}' needs at least one test")
            for number, part in enumerate(inner or ()):
                yield from self.where((*path, name, number), part)

    def call(self, path: KeyPath, call: Call) -> Iterator[Problem]:
        component: Component | None
        if isinstance(call.component, Component):
            component = call.component
            yield from self.component((*path, "component"), component)
        elif call.component is None:
            yield from self.default_component(path, needed_by="the job")
            component = next((c for c in self.spec.components if c.default), None)
            component = component or (self.spec.components[0] if len(self.spec.components) == 1 else None)
        else:
            known = {component.id: component for component in self.spec.components}
            component = known.get(call.component)
            if component is None:
                hint = suggestion(call.component, known, otherwise="add a 'component:' with this id")
                node, _ = self.root.child((*path, "component"))
                message = f"there is no component '{call.component}'"
                yield Problem(message, node.location, show_path((*path, "component")), hint)
        if component is not None:
            yield from self.called_action(path, call, component)

    def called_action(self, path: KeyPath, call: Call, component: Component) -> Iterator[Problem]:
        actions = [action.id for action in component.all_actions]
        if call.action is not None and call.action not in actions:
            message = f"component '{component.id}' has no action '{call.action}'"
            yield self.problem((*path, "action"), message, suggestion(call.action, actions))
        if call.action is None and len(actions) > 1 and not any(action.default for action in component.all_actions):
            message = f"component '{component.id}' has several actions and none is the default"
            yield self.problem(path, message, f"name one with 'action': {listed(actions)}")

    def default_component(self, path: KeyPath, needed_by: str) -> Iterator[Problem]:
        components = self.spec.components
        if not components:
            yield self.problem(path, f"{needed_by} calls a component, but there is none", "add 'component:'")
        elif len(components) > 1 and not any(component.default for component in components):
            names = listed(component.id for component in components)
            yield self.problem(path, f"{needed_by} names no component and there are several", f"name one: {names}")


def _dependencies(job: JobBase) -> Iterator[tuple[KeyPath, str]]:
    for number, entry in enumerate(job.depends_on):
        if isinstance(entry, str):
            yield ("depends_on", number), entry
        else:
            yield from ((("depends_on", number, inner), name) for inner, name in enumerate(entry))


def _routes(job: JobBase) -> Iterator[tuple[KeyPath, str]]:
    """Where a job may go, with the place that says so."""
    places: list[tuple[KeyPath, str | None]] = [(("on_error", "to"), job.on_error.to if job.on_error else None)]
    if isinstance(job, IfJob):
        for number, condition in enumerate(job.conditions):
            places.append((("conditions", number, "if_true"), condition.if_true))
            places.append((("conditions", number, "if_false"), condition.if_false))
    elif isinstance(job, SwitchJob):
        places += [(("cases", number, "then"), case.then) for number, case in enumerate(job.cases)]
    elif isinstance(job, RandomRouterJob):
        places += [(("routings", number, "to"), routing.to) for number, routing in enumerate(job.routings)]
    if isinstance(job, IfJob | SwitchJob):
        places.append((("otherwise",), job.otherwise))
    yield from ((place, name) for place, name in places if name is not None)
