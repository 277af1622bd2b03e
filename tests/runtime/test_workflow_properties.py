"""Any workflow without a loop gives what its jobs give one after the other, ends once, and tells it in order."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcnb.errors import InvalidInputError, ModelNotFoundError, RunCancelledError
from mcnb.models.cache import ModelCache
from mcnb.runtime import Compose, Record, Run, Runtime
from mcnb.runtime.run import TERMINAL
from tests.support.runs import FIRST_LINE, Models, job_events, states_of
from tests.support.workflows import PATIENCE, ends, says, workflow

SETTINGS = settings(
    deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

LEGAL_JOB = re.compile(r"skipped|(processing( waiting)?( (completed|failed|cancelled))?)?")
LEGAL_RUN = re.compile(r"pending( processing (completed|failed)|( processing)? cancelling (failed|cancelled))")

Job = dict[str, Any]


# --- workflows --------------------------------------------------------------------------------------------------------


@dataclass
class Made:
    """A job as the document has it, and what a test knows of it without looking there.

    Attributes
    ----------
    ways : list of str
        Where it may lead to, whether or not it fails.
    to : str or None
        Where it leads to; what a router that goes by chance does, its record says.
    error : str or None
        The code of what it always fails with.
    policy : Any
        What then happens: its ``on_error``; None fails the run.
    """

    job: Job
    needs: list[list[str]]
    before: list[str]
    ways: list[str] = field(default_factory=list)
    to: str | None = None
    by_chance: bool = False
    silent: bool = False
    error: str | None = None
    policy: Any = None

    @property
    def name(self) -> str:
        return str(self.job["id"])


@st.composite
def jobs_of_all_types(draw: st.DrawFn) -> list[Made]:
    """2 to 7 jobs, each of which waits only for those before it and leads only to those behind, in any order."""
    count = draw(st.integers(2, 7))
    names = [f"j{number}" for number in range(count)]
    made = [draw(one_job(names[:number], names[number], names[number + 1 :])) for number in range(count)]
    return draw(st.permutations(made))


@st.composite
def one_job(draw: st.DrawFn, before: list[str], name: str, behind: list[str]) -> Made:
    groups = st.lists(st.sampled_from(before), min_size=1, max_size=3, unique=True) if before else st.nothing()
    needs = draw(st.lists(st.one_of(groups.map(lambda group: group[:1]), groups), max_size=2)) if before else []
    made = Made({"id": name}, needs, before)
    made.job["depends_on"] = [group if len(group) > 1 else group[0] for group in needs]
    kinds = ["list", "mapping", "filter", "component", "pause", "bad"] + 3 * ["router"] * bool(behind)
    kind = draw(st.sampled_from(kinds))
    knows = [f"${{jobs.{other}.output}}" for other in before]
    if kind == "router":
        _route(draw, made, behind)
    elif kind == "filter":
        made.job |= {"type": "filter", "input": [*knows, name], "where": {"operator": "neq", "value": None}}
    elif kind == "component":
        made.job |= {"input": {"said": FIRST_LINE}, "output": [name, "${output}", *knows]}
    elif kind == "pause":
        made.job |= {"type": "delay", "duration": 0}
        made.silent = True
    elif kind == "bad":
        _fail(draw, made)
    else:
        output = [name, *knows] if kind == "list" else {name: knows}
        made.job |= {"type": "delay", "duration": 0, "output": output}
    if kind == "bad" or (kind == "router" and made.error is not None):
        _handle(draw, made, behind)
    elif behind and draw(st.integers(0, 5)) == 0:  # a rescue that is never needed
        made.ways.append(draw(st.sampled_from(behind)))
        made.job["on_error"] = {"to": made.ways[-1]}
    return made


def _route(draw: st.DrawFn, made: Made, behind: list[str]) -> None:
    made.silent = True
    ways = draw(st.lists(st.sampled_from(behind), min_size=1, max_size=3))
    number = draw(st.integers(0, 3))
    kind = draw(st.sampled_from(["switch", "if", "if", "random-router", "bad"]))
    made.ways = list(ways)
    if kind == "switch":
        cases = [{"value": value, "then": to} for value, to in enumerate(ways)]
        made.job |= {"type": "switch", "input": number, "cases": cases}
        made.to = dict(enumerate(ways)).get(number)
    elif kind == "if":
        other = draw(st.sampled_from([None, *behind]))
        made.ways = [ways[0], *([other] if other else [])]
        condition = {"operator": "lt", "value": 2, "if_true": ways[0]}
        made.job |= {"type": "if", "input": number, "conditions": [condition], "otherwise": other}
        made.to = ways[0] if number < 2 else other
    elif kind == "random-router":
        made.job |= {"type": "random-router", "routings": [{"to": to} for to in ways]}
        made.by_chance = True
    else:
        condition = {"operator": "lt", "value": [2], "if_true": ways[0]}
        made.job |= {"type": "if", "input": number, "conditions": [condition]}
        made.ways, made.error = [ways[0]], InvalidInputError.code


def _fail(draw: st.DrawFn, made: Made) -> None:
    bad, code = draw(
        st.sampled_from(
            [
                ({"type": "delay", "duration": "never ${context.run_id}"}, InvalidInputError.code),
                ({"type": "filter", "input": ["x"], "where": {"operator": "gt", "value": 1}}, InvalidInputError.code),
                ({"component": {"model": "./nowhere", "text": "x"}}, ModelNotFoundError.code),
            ]
        )
    )
    made.job |= bad
    made.silent = bad.get("type") == "delay"  # without an output it only waits
    made.error = code


def _handle(draw: st.DrawFn, made: Made, behind: list[str]) -> None:
    output = {"output": [made.name, "${error.code}"]}
    policies: list[Any] = ["ignore", output, {"output": None}, None, None]
    if behind:
        to = draw(st.sampled_from(behind))
        policies += [{"to": to}, {"to": to, **output}]
    made.policy = draw(st.sampled_from(policies))
    if made.policy is not None:
        made.job["on_error"] = made.policy
    if isinstance(made.policy, dict) and "to" in made.policy:
        made.ways.append(made.policy["to"])
    made.to = made.policy.get("to") if isinstance(made.policy, dict) else None


# --- the reference ----------------------------------------------------------------------------------------------------


class Reference:
    """Runs jobs one after the other, from what each waits for to what it leads to.

    What a run may decide by time or by chance is taken from its record, once it is seen to be allowed: which jobs came
    before one that waits for any of several, and where a random-router went.
    """

    def __init__(self, jobs: list[Made], run: Run, answer: str) -> None:
        self.answer = answer
        self.outputs: dict[str, Any] = {}
        self.came: dict[str, set[str]] = {}
        self.fails: set[str] = set()
        self._file = jobs
        self._run = run
        self._led_away: set[str] = set()
        self._asked: dict[str, set[str]] = {made.name: set() for made in jobs}
        self._routers = {made.name: {other.name for other in jobs if made.name in other.ways} for made in jobs}
        for made in sorted(jobs, key=lambda made: made.name):
            self._run_job(made)

    def _run_job(self, made: Made) -> None:
        name = made.name
        done = {other for group in made.needs for other in group if other in self.outputs} - self._led_away
        possible = done | self._asked[name]
        if self._routers[name] and not self._asked[name]:
            return
        if not all(possible.intersection(group) for group in made.needs):
            return
        self.came[name] = self._chosen(made, possible)
        if made.error is not None and made.policy is None:
            self.fails.add(name)
            return
        self.outputs[name] = self._output(made)
        if made.error is not None and made.to is not None:
            self._led_away.add(name)
        to = self._recorded(name, "to") if made.by_chance else made.to
        assert to is None or to in made.ways
        if to is not None:
            self._asked[to].add(name)

    def _chosen(self, made: Made, possible: set[str]) -> set[str]:
        after = self._recorded(made.name, "after")
        several = len(self._routers[made.name]) > 1 or any(len(group) > 1 for group in made.needs)
        assert several or after is None
        if after is None:  # a run that failed may not have come to it
            assert not several or self._run.state != "completed"
            return possible
        assert possible.issuperset(after)
        assert all(set(after).intersection(group) for group in made.needs)
        assert not self._routers[made.name] or self._asked[made.name].intersection(after)
        return set(after)

    def _recorded(self, name: str, what: str) -> Any:
        (found,) = [getattr(way, what) for way in self._run.record.ways if way.job == name] or [None]
        return found

    def _output(self, made: Made) -> Any:
        name, job = made.name, made.job
        if made.error is not None:
            given = made.policy.get("output") if isinstance(made.policy, dict) else None
            return None if given is None else [name, made.error]
        seen = self._behind_which(name)
        knows = [self.outputs[other] if other in seen else None for other in made.before]
        if job.get("type") == "filter":
            return [item for item in [*knows, name] if item is not None]
        if "type" not in job:
            return [name, self.answer, *knows]
        if job["type"] != "delay":
            return self._recorded(name, "to") if made.by_chance else made.to
        if made.silent:
            return None
        return {name: knows} if isinstance(job["output"], dict) else [name, *knows]

    def _behind_which(self, name: str) -> set[str]:
        return self.came[name].union(*(self._behind_which(other) for other in self.came[name]))

    def whole(self) -> Any:
        """The output of the jobs behind which no other says anything."""
        speaking = [made.name for made in self._file if made.name in self.outputs and not made.silent]
        followed = set().union(*(self._behind_which(name) for name in speaking))
        last = [self.outputs[name] for name in speaking if name not in followed]
        if last and all(isinstance(output, dict) for output in last):
            return {key: value for output in last for key, value in output.items()}
        return last[0] if len(last) == 1 else last or None


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
