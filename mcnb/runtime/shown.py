"""Which jobs' text, as it is generated, is the text of the run's output."""

from __future__ import annotations

from typing import Any

from mcnb.compose.expressions import Template
from mcnb.compose.flow import Flow
from mcnb.compose.schema import ComponentJob, Workflow
from mcnb.compose.schema.job import DelayJob, routes
from mcnb.runtime.plan import Plan
from mcnb.runtime.routing import RoutingJob

_TEXTS = ("text", "string", "stream")


def shown(plan: Plan) -> frozenset[str]:
    """Return the jobs whose pieces are the output's text; none when the output is made otherwise.

    There are several where a routing job leads to one of them. Whether a job's prompt is a list, and its output one
    too, shows only when the prompt is rendered.
    """
    last = _last(plan.workflow, plan.flow)
    jobs = {job.id: job for job in plan.workflow.jobs}
    if len(last) > 1 and not _one_of(last, plan):
        return frozenset()
    return frozenset(name for name in last if isinstance(jobs[name], ComponentJob) and _gives_its_text(plan, name))


def streamed(plan: Plan) -> frozenset[str]:
    """Return those of the shown jobs whose text is final as it comes.

    A person may put another text in place of it; an attempt that fails, and a loop that leads back, too.
    """
    jobs = {job.id: job for job in plan.workflow.jobs}
    return frozenset(name for name in shown(plan) if _is_final(jobs[name], plan.flow))


def is_silent(job: Any) -> bool:
    """Whether a job gives no output of its own: it leads on, or waits."""
    return isinstance(job, RoutingJob) or (isinstance(job, DelayJob) and job.output is None)


def _is_final(job: Any, flow: Flow) -> bool:
    asks = job.interrupt is not None and job.interrupt.after is not None
    tries = job.retry is not None and job.retry.max_attempt_count > 1
    return not asks and not tries and job.on_error is None and job.id not in flow.after(job.id)


def _last(workflow: Workflow, flow: Flow) -> list[str]:
    """Return the jobs behind which, whatever way is taken, no other gives an output."""
    speaking = {job.id for job in workflow.jobs if not is_silent(job)}
    return [name for name in flow.needs if name in speaking and not (flow.after(name) - {name}) & speaking]


def _one_of(names: list[str], plan: Plan) -> bool:
    """Whether one routing job leads to exactly one of some jobs."""
    routers = {plan.flow.routers[name] for name in names}
    if len(routers) != 1 or not plan.flow.targets.issuperset(names):
        return False
    (found,) = routers
    job = next((job for job in plan.workflow.jobs if len(found) == 1 and job.id == found[0]), None)
    return isinstance(job, RoutingJob) and job.on_error is None and set(routes(job)) >= set(names)


def _gives_its_text(plan: Plan, name: str) -> bool:
    step = plan.calls[name]
    action, job = step.action, step.job
    if not isinstance(job, ComponentJob) or job.repeat_count is not None:
        return False
    if isinstance(getattr(action, "prompt", None), list) or action.num_return_sequences not in (None, 1):
        return False
    named = False
    for tree, root in ((action.output, "result"), (job.output, "output"), (plan.workflow.output, "output")):
        inner = tree
        if isinstance(tree, dict) and len(tree) == 1 and not named:
            (inner,) = tree.values()
        if inner is not None and not _passes(inner, root, is_text=not named):
            return False
        named = named or inner is not tree
    return True


def _passes(tree: Any, root: str, *, is_text: bool) -> bool:
    """Whether an output template gives its source on unchanged; a source that is no text survives no cast to one."""
    sole = tree.sole if isinstance(tree, Template) else None
    if sole is None or sole.root not in (root, f"{root}[]") or sole.steps or sole.default:
        return False
    return sole.type is None or (is_text and sole.type.name in _TEXTS and not sole.type.is_array)
