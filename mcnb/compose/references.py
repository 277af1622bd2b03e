"""What jobs read of each other, and what can never come of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from mcnb.compose.expressions import Expression, walk
from mcnb.compose.expressions.grammar import Key
from mcnb.compose.flow import Flow, needs_of
from mcnb.compose.nodes import KeyPath, Node, show_path
from mcnb.compose.schema import JobBase, Workflow
from mcnb.compose.schema.job import IfJob, RandomRouterJob, SwitchJob, routes
from mcnb.compose.scopes import templates
from mcnb.errors import Problem


def impossible(root: Node, path: KeyPath, workflow: Workflow) -> Iterator[Problem]:
    """Yield the expressions of a workflow's jobs that look for the output of a job that cannot have run by then."""
    flow = Flow.of(workflow.jobs)
    for job, place, expression, name in _references(path, workflow.jobs, flow):
        if expression.default is not None or job in flow.after(name):
            continue
        if name == job:
            message = f"${{{expression.path}}}: '{name}' has no output before it has run"
            yield _at(root, place, expression, message, "write ${output} for what it gives")
        elif name in flow.after(job):
            message = f"${{{expression.path}}}: '{name}' runs after '{job}', so that it has no output yet"
            yield _at(root, place, expression, message, None)


def doubtful(root: Node, path: KeyPath, workflow: Workflow) -> Iterator[Problem]:
    """Yield what is allowed in a workflow and is hardly meant: jobs that never run, outputs that nobody waits for."""
    flow = Flow.of(workflow.jobs)
    numbers = {job.id: number for number, job in enumerate(workflow.jobs)}
    for name, number in numbers.items():
        if name not in flow.runnable:
            node, _ = root.child((*path, "jobs", number))
            hint = "nothing leads to it" if name in flow.targets else "what it waits for never runs"
            yield Problem(f"job '{name}' can never run", node.place, show_path((*path, "jobs", number)), hint)
    for job in workflow.jobs:
        for router, one, other in _never_both(job, workflow.jobs, flow):
            here: KeyPath = (*path, "jobs", numbers[job.id], "depends_on")
            node, _ = root.child(here)
            message = f"job '{job.id}' can never run: '{router}' leads to '{one}' or '{other}', and it waits for both"
            yield Problem(message, node.place, show_path(here), f"wait for any of them: [[{one}, {other}]]")
    for job_id, place, expression, name in _references(path, workflow.jobs, flow):
        if name != job_id and name not in flow.after(job_id) and job_id not in flow.after(name):
            message = f"${{{expression.path}}}: '{job_id}' does not wait for '{name}', and sees nothing of it"
            yield _at(root, place, expression, message, f"add '{name}' to its 'depends_on'")


def _references(path: KeyPath, jobs: Sequence[JobBase], flow: Flow) -> Iterator[tuple[str, KeyPath, Expression, str]]:
    """Yield each mention of another job's output: the job, the place, the expression, the other job."""
    for number, job in enumerate(jobs):
        for place, template in templates(job, (*path, "jobs", number)):
            for expression, _ in walk(template):
                first = expression.steps[0] if expression.steps else None
                if expression.root == "jobs" and isinstance(first, Key) and first.name in flow.needs:
                    yield job.id, place, expression, first.name


def _never_both(job: JobBase, jobs: Sequence[JobBase], flow: Flow) -> Iterator[tuple[str, str, str]]:
    """Yield the jobs that a job waits for although a routing job, alone, leads to one of them or the other."""
    alone = [group[0] for group in needs_of(job) if len(group) == 1]
    for router in jobs:
        if not isinstance(router, IfJob | SwitchJob | RandomRouterJob) or router.id in flow.after(router.id):
            continue
        led = [
            name
            for name in alone
            if name in routes(router) and name in flow.targets and flow.routers[name] == (router.id,)
        ]
        if len(led) > 1:
            yield router.id, led[0], led[1]


def _at(root: Node, place: KeyPath, expression: Expression, message: str, hint: str | None) -> Problem:
    node, _ = root.child(place)
    return Problem(message, node.at_offset(expression.offset), show_path(place), hint)
