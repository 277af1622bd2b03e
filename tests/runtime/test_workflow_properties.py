"""Any workflow without a loop gives what its jobs give one after the other, ends once, and tells it in order."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcnb.errors import RunCancelledError
from mcnb.models.cache import ModelCache
from mcnb.runtime import Compose, Record, Run, Runtime
from mcnb.runtime.run import TERMINAL
from tests.support.random_workflows import Job, Made, Reference, jobs_of_all_types
from tests.support.runs import FIRST_LINE, Models, job_events, states_of
from tests.support.workflows import PATIENCE, ends, says, workflow

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

LEGAL_JOB = re.compile(r"skipped|(processing( waiting)?( (completed|failed|cancelled))?)?")
LEGAL_RUN = re.compile(r"pending( processing (completed|failed)|( processing)? cancelling (failed|cancelled))")


# --- what holds for every run -----------------------------------------------------------------------------------------


def check_events(run: Run, jobs: list[Made]) -> None:
    """One terminal state, and nothing behind it; numbers without gaps, in time; each job's states as they may be."""
    events = run.events_after(0)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    assert all(one.time <= two.time for one, two in pairwise(events))
    states = states_of(run)
    assert LEGAL_RUN.fullmatch(" ".join(states))
    assert states[-1] == run.state == run.record.state
    assert sum(state in TERMINAL for state in states) == 1
    assert (events[-1].type, events[-1].data["state"]) == ("state", run.state)
    assert [event.data["output"] for event in events if event.type == "output"] == (
        [run.output] if run.state == "completed" else []
    )
    told: dict[str, list[str]] = {made.name: [] for made in jobs}
    for event in job_events(run):
        told[event.data["job"]].append(event.data["state"])
    for name, of_job in told.items():
        assert LEGAL_JOB.fullmatch(" ".join(of_job)), (name, of_job)
        assert not of_job or of_job[-1] in (*TERMINAL, "skipped"), f"{name} was left behind"
        assert of_job or run.state != "completed", f"nothing is said of {name}"
    for event in events:
        if event.type in ("prompt", "token"):
            states_before = [
                other.data["state"]
                for other in job_events(run)
                if other.id < event.id and other.data["job"] == event.data["job"]
            ]
            assert states_before == ["processing"]


def check_order(run: Run, reference: Reference) -> None:
    """No job starts before those that it comes after have ended."""
    where = {(event.data["job"], event.data["state"]): event.id for event in job_events(run)}
    ended = {name: number for (name, state), number in where.items() if state in TERMINAL}
    for (name, state), number in where.items():
        if state == "processing" and run.state == "completed":
            assert all(ended[other] < number for other in reference.came[name])


def output_of(jobs: list[Made]) -> Job:
    return {"whole": "${output}", "jobs": {made.name: f"${{jobs.{made.name}.output}}" for made in jobs}}


def answer_of(runtime: Runtime, models: Models) -> str:
    """What the model says when nothing else is going on."""
    alone = workflow(runtime, [{"id": "alone", "input": {"said": FIRST_LINE}}], model=models.poet)
    said = alone.run().output
    assert isinstance(said, str)
    assert said.startswith(FIRST_LINE)
    assert said != FIRST_LINE
    return said


# --- properties -------------------------------------------------------------------------------------------------------


def test_any_workflow_gives_what_its_jobs_give_one_after_the_other(runtime: Runtime, models: Models) -> None:
    answer = answer_of(runtime, models)
    found: Counter[str] = Counter()

    @settings(SETTINGS, max_examples=160)
    @given(jobs_of_all_types(), st.booleans())
    def holds(jobs: list[Made], tells_all: bool) -> None:
        more = {"output": output_of(jobs)} if tells_all else {}
        loaded = workflow(runtime, [made.job for made in jobs], model=models.poet, **more)
        run = loaded.submit(seed=7)
        assert run.wait(PATIENCE)
        reference = Reference(jobs, run, answer)
        check_events(run, jobs)
        check_order(run, reference)
        found[run.state] += 1
        if reference.fails:
            assert run.state == "failed"
            assert {name for name, end in ends(run).items() if end == "failed"} & reference.fails
            return
        assert run.state == "completed", run.error
        every = {made.name: reference.outputs.get(made.name) for made in jobs}
        assert run.output == ({"whole": reference.whole(), "jobs": every} if tells_all else reference.whole())
        skipped = {name for name, end in ends(run).items() if end == "skipped"}
        assert skipped == every.keys() - reference.outputs.keys()
        if run.record.ways:
            again = loaded.repeat(Record.from_dict(run.record.to_dict()))
            assert again.wait(PATIENCE)
            assert again.output == run.output
            found["repeated"] += 1
        found["skipping"] += bool(skipped)
        found["generating"] += bool(run.record.generations)

    holds()
    assert min(found[name] for name in ("completed", "failed", "repeated", "skipping", "generating")) > 10, found


class Brake:
    """Lets no time pass where a job waits for none, and stops everything where one waits for an hour."""

    def __init__(self) -> None:
        self._open = threading.Event()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        if seconds:  # this blocks the runtime's only thread, which is the point
            assert self._open.wait(PATIENCE)
            self._open.clear()

    def release(self) -> None:
        self._open.set()


@pytest.fixture
def brake() -> Brake:
    return Brake()


@pytest.fixture
def braked(home: Path, brake: Brake) -> Iterator[Runtime]:
    """A runtime that does nothing while it executes a workflow that waits for an hour, until the brake is released."""
    made = Runtime(ModelCache(), sleep=brake.sleep)
    yield made
    brake.release()
    made.close()
    made.cache.unload()
    assert not made.cache.loaded(), "a model is still leased"


def cancelled_at(loaded: Compose, number: int, hold: Compose, brake: Brake) -> Run:
    """Return a run that ended, and that was cancelled at its event with a number, if it came to that."""
    held = hold.submit()
    run = loaded.submit(seed=7)

    def cancel() -> None:
        if len(run.events_after(0)) >= number:
            run.cancel()

    run.listen(cancel)
    cancel()
    brake.release()
    assert run.wait(PATIENCE)
    assert held.wait(PATIENCE)
    return run


HOLD = [{"id": "hold", "type": "delay", "duration": "1h"}]


def test_a_run_ends_once_at_whatever_event_it_is_cancelled(braked: Runtime, brake: Brake, models: Models) -> None:
    answer = answer_of(braked, models)
    hold = workflow(braked, HOLD)
    found: Counter[str] = Counter()

    @settings(SETTINGS, max_examples=120)
    @given(jobs_of_all_types(), st.integers(1, 20))
    def holds(jobs: list[Made], number: int) -> None:
        loaded = workflow(braked, [made.job for made in jobs], model=models.poet)
        run = cancelled_at(loaded, number, hold, brake)
        check_events(run, jobs)
        found[run.state] += 1
        reference = Reference(jobs, run, answer)
        if "cancelling" not in states_of(run):
            assert run.state == ("failed" if reference.fails else "completed")
        elif run.state != "cancelled":  # it had failed already
            assert run.state == "failed"
            assert {name for name, end in ends(run).items() if end == "failed"} & reference.fails
        else:
            assert isinstance(run.error, RunCancelledError)
            assert run.output is run.record.output_sha256 is None
            found["in the middle"] += bool(job_events(run))

    holds()
    assert min(found[name] for name in ("completed", "cancelled", "in the middle")) > 5, found


def test_a_run_that_is_cancelled_when_its_last_job_has_ended_is_not_completed(runtime: Runtime) -> None:
    """There is work left then: its output is hashed, and its record completed."""
    done = workflow(runtime, [says("a", "A")]).run()
    run = Run(Record.from_dict({**done.record.to_dict(), "run_id": Run.new_id()}))
    run._start()
    run.cancel()
    run._finish("completed", output="A")
    assert states_of(run) == ["pending", "processing", "cancelling", "cancelled"]
    assert run.state == run.record.state == "cancelled"
    assert run.output is run.record.output_sha256 is None
    assert isinstance(run.error, RunCancelledError)
    assert not [event for event in run.events_after(0) if event.type == "output"]


@pytest.mark.parametrize("policy", [{}, {"on_error": "ignore"}])
def test_a_job_that_fails_after_the_run_was_cancelled_is_cancelled(braked: Runtime, brake: Brake, policy: Job) -> None:
    bad = {"id": "bad", "type": "delay", "duration": "never ${context.run_id}", **policy}
    run = cancelled_at(workflow(braked, [bad]), 3, workflow(braked, HOLD), brake)
    assert states_of(run) == ["pending", "processing", "cancelling", "cancelled"]
    assert [event.data["state"] for event in job_events(run)] == ["processing", "cancelled"]
