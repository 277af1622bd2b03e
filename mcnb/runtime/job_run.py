"""One run of one job: its input, its pauses, its attempts, and what happens when it fails."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcnb.compose.durations import parse_duration
from mcnb.compose.expressions import render
from mcnb.compose.schema import ComponentJob, ForEachJob
from mcnb.compose.schema.job import DelayJob, FilterJob, JobBase, RandomRouterJob, routes
from mcnb.errors import InvalidInputError, McnbError, RunCancelledError
from mcnb.runtime.calls import render_inputs
from mcnb.runtime.for_each import items_of, kept, render_items, render_results
from mcnb.runtime.generations import Place
from mcnb.runtime.jobs import ComponentJobs
from mcnb.runtime.pauses import Pauses
from mcnb.runtime.plan import Plan, Step
from mcnb.runtime.policies import Outcome, attempts, handled, is_final
from mcnb.runtime.redaction import blacken_error
from mcnb.runtime.routing import RoutingJob, chance_of, way
from mcnb.runtime.run import Run
from mcnb.runtime.waiting import Sleep, pass_time
from mcnb.runtime.ways import Ways
from mcnb.runtime.wording import part_name


class JobRuns:
    """Executes the jobs of one run, whatever their type.

    Parameters
    ----------
    run : Run
        Gets the events.
    plan : Plan
        The jobs.
    sources : mapping
        What all their expressions see: ``input, env, context``.
    calls : ComponentJobs
        Executes those that call components.
    pauses : Pauses
        Where jobs wait for a person.
    ways : Ways
        Where jobs decide which way to go.
    sleep : callable
        Lets time pass.
    secrets : tuple of str
        Blackened in events.
    """

    def __init__(
        self,
        run: Run,
        plan: Plan,
        sources: Mapping[str, Any],
        *,
        calls: ComponentJobs,
        pauses: Pauses,
        ways: Ways,
        sleep: Sleep,
        secrets: tuple[str, ...],
    ) -> None:
        self.run = run
        self.plan = plan
        self.sources = sources
        self.calls = calls
        self.pauses = pauses
        self.ways = ways
        self.sleep = sleep
        self.secrets = secrets

    async def execute(self, job: JobBase, turn: int, outputs: Mapping[str, Any]) -> Outcome:
        """Execute a job.

        Parameters
        ----------
        job : JobBase
            The job.
        turn : int
            Which run of it this is, in a loop.
        outputs : mapping
            By id, of the jobs that led to it.

        Raises
        ------
        McnbError
            When it fails, and its ``on_error`` does not go on without it.
        """
        self.run.control.check()
        scope = {**self.sources, "jobs": {name: {"output": value} for name, value in outputs.items()}}
        self._tell(job, "processing", **_attempt(job, 1))
        try:
            outcome = await self._handled(job, turn, scope)
        except RunCancelledError:
            self._tell(job, "cancelled")
            raise
        except Exception:
            self._tell(job, "failed")
            raise
        if outcome.to is not None:
            self.ways.note(job.id, turn, to=outcome.to)
        if outcome.error is None:
            self._tell(job, "completed", **({} if outcome.to is None else {"to": outcome.to}))
        return outcome

    async def _handled(self, job: JobBase, turn: int, scope: Mapping[str, Any]) -> Outcome:
        try:
            if known := self.ways.failure(job.id, turn):
                raise known
            return await self._outcome(job, turn, scope)
        except McnbError as error:
            self.run.control.check()  # what fails in a run that was stopped is no news
            told = blacken_error(error, self.secrets)
            found = None if is_final(error, self.run.control) else handled(job, error, scope, told.message)
            if found is None:
                raise
            self.ways.note(job.id, turn, error={"code": told.code, "message": told.message})
            self._tell(job, "failed", error=told.to_dict(), **({} if found.to is None else {"to": found.to}))
            return found

    async def _outcome(self, job: JobBase, turn: int, scope: Mapping[str, Any]) -> Outcome:
        if isinstance(job, ComponentJob | ForEachJob):
            output = await self._called(self.plan.calls[job.id], turn, scope)
        else:
            value = await self.pauses.before(job, _value(job, scope), scope)
            output = await self._tried(job, lambda _: self._worked(job, value, turn, scope))
        if (template := getattr(job, "output", None)) is not None:
            output = render(template, {**scope, "output": output})
        output = await self.pauses.after(job, output, scope)
        return Outcome(output, _known_way(job, output) if isinstance(job, RoutingJob) else None)

    async def _called(self, step: Step, turn: int, scope: Mapping[str, Any]) -> Any:
        job = step.job
        inputs = render_items(job, scope) if isinstance(job, ForEachJob) else render_inputs(job, scope)
        inputs = await self.pauses.before_calls(job, inputs, scope)
        done: dict[int, Any] = {}
        results = await self._tried(
            job, lambda attempt: self.calls.results(step, inputs, scope, Place(turn, attempt), done)
        )
        return render_results(job, inputs, results, scope) if isinstance(job, ForEachJob) else results

    async def _worked(self, job: JobBase, value: Any, turn: int, scope: Mapping[str, Any]) -> Any:
        if isinstance(job, RoutingJob):
            chosen = self.ways.chosen(job.id, turn) if isinstance(job, RandomRouterJob) else None
            return chosen or way(job, value, scope, chance_of(self.run.record.seed, job.id, turn))
        if isinstance(job, FilterJob):
            return kept(job, value, scope)
        seconds = _seconds(job, value)
        self._tell(job, "waiting", seconds=seconds)
        return await pass_time(seconds, self.run.control, self.sleep)

    async def _tried(self, job: JobBase, work: Any) -> Any:
        async def again(number: int, seconds: float, error: McnbError) -> None:
            told = blacken_error(error, self.secrets)
            self._tell(job, "waiting", **_attempt(job, number), seconds=seconds, error=told.to_dict())
            await pass_time(seconds, self.run.control, self.sleep)
            self._tell(job, "processing", **_attempt(job, number))

        return await attempts(job.retry, work, again, self.run.control)

    def _tell(self, job: JobBase, state: str, **more: Any) -> None:
        self.run._emit("job", {"job": job.id, "state": state, **more})


def _attempt(job: JobBase, number: int) -> dict[str, Any]:
    """Say which attempt it is, of a job that has several."""
    count = 1 if job.retry is None else job.retry.max_attempt_count
    return {"attempt": number, "attempts": count} if count > 1 else {}


def _value(job: JobBase, scope: Mapping[str, Any]) -> Any:
    """Return the input of a job that calls nothing."""
    if isinstance(job, FilterJob):
        return items_of(job, scope)
    if isinstance(job, DelayJob):
        return render(job.duration, scope)
    return render(getattr(job, "input", None), scope)


def _seconds(job: JobBase, value: Any) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise InvalidInputError(f"{part_name('job', job.id)}: duration: {error}") from error


def _known_way(job: JobBase, output: Any) -> str | None:
    """Return where a routing job leads to; a person may have chosen otherwise."""
    if output is not None and output not in routes(job):
        names = ", ".join(routes(job))
        raise InvalidInputError(f"{part_name('job', job.id)} does not lead to {output!r}", hint=f"it leads to {names}")
    return output  # type: ignore[no-any-return]
