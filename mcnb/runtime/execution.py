"""The execution of a run: its jobs as soon as they can start, its output, and its one terminal state."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from mcnb.compose.expressions import render
from mcnb.errors import InternalError, McnbError, RunCancelledError
from mcnb.models.cache import ModelCache
from mcnb.runtime.deadline import Deadline
from mcnb.runtime.job_run import JobRuns
from mcnb.runtime.jobs import ComponentJobs
from mcnb.runtime.order import Order
from mcnb.runtime.pauses import Pauses
from mcnb.runtime.policies import Outcome
from mcnb.runtime.provenance import hardware, sha256, versions
from mcnb.runtime.record import Record
from mcnb.runtime.redaction import blacken_error, secrets_of
from mcnb.runtime.run import Run, State
from mcnb.runtime.scheduler import Scheduler
from mcnb.runtime.shown import is_silent, shown, streamed
from mcnb.runtime.waiting import Sleep
from mcnb.runtime.ways import Ways


async def execute(run: Run, order: Order, cache: ModelCache, sleep: Sleep) -> None:
    """Bring a run to its terminal state, whatever happens.

    Parameters
    ----------
    run : Run
        Pending.
    order : Order
        What to do.
    cache : ModelCache
        Where models come from.
    sleep : callable
        Lets time pass.
    """
    secrets = secrets_of(order.plan.document)
    deadline = Deadline(order.timeout, run.control)
    deadline.start()
    started = time.perf_counter()
    state: State = "failed"
    output: Any = None
    error: McnbError | None = None
    digest: str | None = None
    try:
        run.control.check()
        run._start()
        output = await _work(run, order, cache, Pauses(run, deadline, order.answers, secrets), sleep, secrets)
        run.control.check()
        digest, state = sha256(output), "completed"
    except RunCancelledError as stopped:
        error, state = stopped, "cancelled"
    except McnbError as failed:
        error = failed
    except BaseException as defect:  # it must end the run too, not only this coroutine
        error = InternalError(f"the run failed ({type(defect).__name__}: {defect})")
        error.__cause__ = defect
        if not isinstance(defect, Exception):
            raise
    finally:
        deadline.stop()
        _complete(run.record, started, digest)
        if error is not None:
            error = blacken_error(error, secrets)
        run._finish(state, output=output if state == "completed" else None, error=error)


async def _work(
    run: Run, order: Order, cache: ModelCache, pauses: Pauses, sleep: Sleep, secrets: tuple[str, ...]
) -> Any:
    """Start each job as soon as it can, and put the output together."""
    plan, document = order.plan, order.plan.document
    sources = {"input": order.values, "env": document.env, "context": {"run_id": run.id}}
    ways = Ways(run.record, order.ways)
    calls = ComponentJobs(
        run,
        cache=cache,
        folder=document.folder,
        secrets=secrets,
        pins=order.pins,
        priority=order.priority,
        shown=shown(plan),
        streamed=streamed(plan),
    )
    runs = JobRuns(run, plan, sources, calls=calls, pauses=pauses, ways=ways, sleep=sleep, secrets=secrets)
    jobs = {job.id: job for job in plan.workflow.jobs}
    scheduler = Scheduler(plan.flow, {job.id: job.max_run_count for job in jobs.values()}, ways.came_after)
    under_way: dict[asyncio.Task[Outcome], tuple[str, int]] = {}
    try:
        while (ready := scheduler.ready()) or under_way:
            for name in ready:
                turn = scheduler.start(name)
                if (after := scheduler.chosen(name)) is not None:
                    ways.note(name, turn, after=after)
                executing = runs.execute(jobs[name], turn, scheduler.outputs(name))
                under_way[asyncio.create_task(executing)] = name, turn
            done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in [task for task in under_way if task in done]:  # a set has no order, and a run needs one
                outcome = task.result()
                name, turn = under_way.pop(task)
                scheduler.end(name, turn, outcome)
    except BaseException:
        if under_way:  # a failed job stops its siblings, and the run ends when they have stopped
            run.control.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        raise
    for name in scheduler.never_ran():
        run._emit("job", {"job": name, "state": "skipped"})
    outputs = scheduler.latest()
    output = _joined([outputs[name] for name in scheduler.last([name for name in jobs if is_silent(jobs[name])])])
    if plan.workflow.output is None:
        return output
    known = {"output": output, "jobs": {name: {"output": value} for name, value in outputs.items()}}
    return render(plan.workflow.output, {**sources, **known})


def _joined(outputs: list[Any]) -> Any:
    """Return the output of the last jobs: of several, mappings merge and anything else becomes a list."""
    if not outputs:
        return None
    if len(outputs) == 1:
        return outputs[0]
    if all(isinstance(output, dict) for output in outputs):
        return {key: value for output in outputs for key, value in output.items()}
    return outputs


def _complete(record: Record, started: float, output_sha256: str | None) -> None:
    parts: dict[str, float | None] = {}
    for name in ("queue", "load", "first_token", "decode"):
        known = [item.timings[name] for item in record.generations if item.timings.get(name) is not None]
        parts[name] = sum(value for value in known if value is not None) if known else None
    record.timings = {**parts, "total": time.perf_counter() - started}
    record.versions = versions()
    record.hardware = hardware()
    record.output_sha256 = output_sha256
