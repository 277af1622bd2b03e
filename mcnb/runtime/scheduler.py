"""Scheduler: which job of a run can start next. A state machine over jobs; nothing is executed here."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mcnb.compose.flow import Flow
from mcnb.errors import LoopLimitError
from mcnb.runtime.policies import Outcome
from mcnb.runtime.wording import part_name

Stand: TypeAlias = Literal["waiting", "running", "done", "failed"]

Outputs: TypeAlias = dict[str, tuple[int, Any]]
"""By job id: the turn and the output of its latest run."""


@dataclass
class _Job:
    """Where a job stands.

    Attributes
    ----------
    turn : int
        1, and one more each time a loop leads back to it or before it.
    runs : int
        How often it was started.
    busy : bool
        Whether it is being executed; also when it was called back meanwhile, and its result does not count.
    asked : dict of str to int
        The jobs that led here, and in which turn of theirs.
    made : int
        The turn its output is of.
    seen : Outputs
        What it can know: the outputs of the jobs that came before it.
    after : dict of str to int
        Which jobs led to its latest run, and how often each had run then.
    """

    limit: int
    stand: Stand = "waiting"
    turn: int = 1
    runs: int = 0
    busy: bool = False
    output: Any = None
    made: int = 0
    asked: dict[str, int] = field(default_factory=dict)
    seen: Outputs = field(default_factory=dict)
    after: dict[str, int] = field(default_factory=dict)


class Scheduler:
    """Keeps where each job stands.

    Parameters
    ----------
    flow : Flow
        How the jobs follow each other.
    limits : mapping of str to int
        ``max_run_count`` of each job.
    known : mapping of (str, int) to tuple of str
        Of the run that is repeated: which jobs had come before a job, and turn, that waits for any of several.
    """

    def __init__(
        self, flow: Flow, limits: Mapping[str, int], known: Mapping[tuple[str, int], tuple[str, ...]] | None = None
    ) -> None:
        self._flow = flow
        self._known = known or {}
        self._jobs = {name: _Job(limits[name]) for name in flow.needs}
        self._awaited = {name: {other for group in groups for other in group} for name, groups in flow.needs.items()}

    def ready(self) -> list[str]:
        """Return the jobs that can start now, in the order of the file."""
        return [name for name in self._jobs if self._is_ready(name)]

    def start(self, name: str) -> int:
        """Note that a job starts; return its turn.

        Raises
        ------
        LoopLimitError
            When it has been run as often as it may.
        """
        job = self._jobs[name]
        if job.runs >= job.limit:
            raise LoopLimitError(
                f"{part_name('job', name)} is routed to again, but has run {job.runs:,} times: its max_run_count",
                hint="look at what ends the loop, or give the job a higher 'max_run_count'",
            )
        job.stand, job.busy = "running", True
        job.runs += 1
        job.after = {other: self._jobs[other].runs for other in sorted(self._sources(name))}
        job.seen = self._seen(job.after)
        return job.turn

    def outputs(self, name: str) -> dict[str, Any]:
        """Return what a job that was started knows: the latest outputs of the jobs that led to it."""
        return {other: output for other, (_, output) in self._jobs[name].seen.items()}

    def chosen(self, name: str) -> tuple[str, ...] | None:
        """Return which jobs came before one that starts with any of several; None when it is no such job."""
        several = len(self._flow.routers[name]) > 1 or any(len(group) > 1 for group in self._flow.needs[name])
        return tuple(self._jobs[name].after) if several else None

    def end(self, name: str, turn: int, outcome: Outcome) -> None:
        """Note how a job ended; without effect when a loop led back before it meanwhile.

        Parameters
        ----------
        name, turn : str, int
            As started.
        outcome : Outcome
            A job that failed and leads elsewhere takes that way in place of its dependents: they are not started.
        """
        job = self._jobs[name]
        job.busy = False
        if turn != job.turn:
            return
        job.stand = "done" if outcome.error is None or outcome.to is None else "failed"
        job.output, job.made = outcome.output, turn
        if outcome.to is not None:
            self._lead(name, outcome.to)

    def never_ran(self) -> list[str]:
        """Return the jobs that were not started."""
        return [name for name, job in self._jobs.items() if not job.runs]

    def latest(self) -> dict[str, Any]:
        """Return the output of the latest run of every job that ended, in the order of the file."""
        known = self._seen([name for name, job in self._jobs.items() if job.made])
        return {name: known[name][1] for name in self._jobs if name in known}

    def last(self, silent: Collection[str]) -> list[str]:
        """Return the jobs whose outputs are those of the run: nothing that gives an output came after them.

        Parameters
        ----------
        silent : collection of str
            Jobs that give no output of their own.
        """
        ended = [name for name, job in self._jobs.items() if job.stand in ("done", "failed")]
        speaking = [name for name in ended if name not in silent]
        followed = {name for other in speaking for name in self._before(other) - {other}}
        return [name for name in speaking if name not in followed]

    def _before(self, name: str) -> set[str]:
        """Return the jobs whose present run led to the present run of one."""
        found: set[str] = set()
        todo = [name]
        while todo:
            for other, runs in self._jobs[todo.pop()].after.items():
                if other not in found and self._jobs[other].runs == runs:
                    found.add(other)
                    todo.append(other)
        return found

    def _is_ready(self, name: str) -> bool:
        job = self._jobs[name]
        if job.stand != "waiting" or job.busy:
            return False
        if name in self._flow.targets and not job.asked:
            return False
        here = self._sources(name)
        before = self._known.get((name, job.turn), ())
        return here.issuperset(before) and all(here.intersection(group) for group in self._flow.needs[name])

    def _sources(self, name: str) -> set[str]:
        """Return the jobs that a job waits for and that are done, and those that led to it."""
        found = {other for group in self._flow.needs[name] for other in group if self._jobs[other].stand == "done"}
        found |= self._jobs[name].asked.keys()
        return found.intersection(self._known.get((name, self._jobs[name].turn), found)) or found

    def _seen(self, names: Iterable[str]) -> Outputs:
        found: Outputs = {}
        for name in names:
            job = self._jobs[name]
            for other, (turn, output) in [*job.seen.items(), (name, (job.made, job.output))]:
                if other not in found or found[other][0] < turn:
                    found[other] = turn, output
        return found

    def _lead(self, name: str, to: str) -> None:
        """Ask for a job; where it has run and leads here, everything from it on runs again."""
        if self._jobs[to].stand != "waiting" and name in (again := self._led_to(to)):
            self._again(again)
        self._jobs[to].asked[name] = self._jobs[name].made

    def _led_to(self, name: str) -> set[str]:
        """Return a job, what depends on it, and where that led."""
        found: set[str] = set()
        todo = [name]
        while todo:
            here = todo.pop()
            if here not in found:
                found.add(here)
                turn = self._jobs[here].turn
                todo += [
                    other
                    for other, job in self._jobs.items()
                    if here in self._awaited[other] or job.asked.get(here) == turn
                ]
        return found

    def _again(self, names: Collection[str]) -> None:
        for name, job in self._jobs.items():
            job.asked = {other: turn for other, turn in job.asked.items() if other not in names}
            if name in names:
                job.turn += 1
                job.stand = "waiting"
