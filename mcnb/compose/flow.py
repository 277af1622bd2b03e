"""Flow: which jobs of a workflow come before and after which, by what they wait for and where they lead."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from mcnb.compose.schema.job import JobBase, routes

Needs = tuple[tuple[str, ...], ...]
"""What a job waits for: one job of each group."""


def needs_of(job: JobBase) -> Needs:
    """Return what a job waits for; an any-of group has several members."""
    return tuple((entry,) if isinstance(entry, str) else tuple(entry) for entry in job.depends_on)


@dataclass(frozen=True)
class Flow:
    """The jobs of one workflow as a graph.

    Attributes
    ----------
    needs : mapping of str to Needs
        What each job waits for, in the order of the file.
    routes : mapping of str to tuple of str
        Where each job may lead to, also when it fails.
    """

    needs: Mapping[str, Needs]
    routes: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, jobs: Sequence[JobBase]) -> Flow:
        """Return the flow of a workflow's jobs; names that no job has are left out."""
        known = {job.id for job in jobs}
        needs = {job.id: tuple(tuple(filter(known.__contains__, group)) for group in needs_of(job)) for job in jobs}
        return cls(needs, {job.id: tuple(name for name in routes(job) if name in known) for job in jobs})

    @cached_property
    def routers(self) -> dict[str, tuple[str, ...]]:
        """The jobs that may lead to each job."""
        return {name: tuple(job for job, ways in self.routes.items() if name in ways) for name in self.needs}

    @cached_property
    def targets(self) -> frozenset[str]:
        """The jobs that start only when routed to.

        A job that is routed to only from behind itself begins a loop: it starts like any other.
        """
        targets = {name for name, routers in self.routers.items() if routers}
        candidates = [
            name for name in self.needs if name in targets and self.after(name).issuperset(self.routers[name])
        ]
        found: str | None = ""
        while candidates and found is not None:
            runnable = self._runnable(targets)
            possible = (name for name in candidates if self._has_its_needs(name, runnable))
            found = next((name for name in possible if self._leads_to_itself_alone(name, targets)), None)
            if found is not None:
                candidates.remove(found)
                targets.remove(found)
        return frozenset(targets)

    def _leads_to_itself_alone(self, name: str, targets: Collection[str]) -> bool:
        """Whether nothing leads to a job unless it has run."""
        return self._runnable(targets, without=name).isdisjoint(self.routers[name])

    @cached_property
    def runnable(self) -> frozenset[str]:
        """The jobs that can run at all."""
        return self._runnable(self.targets)

    def after(self, name: str) -> frozenset[str]:
        """Return the jobs that may run because of one; itself among them when it stands in a loop."""
        if name not in self._known_after:
            self._known_after[name] = _closure(self._follows[name], self._follows)
        return self._known_after[name]

    @cached_property
    def _known_after(self) -> dict[str, frozenset[str]]:
        return {}

    @cached_property
    def _follows(self) -> dict[str, set[str]]:
        follows = {name: set(ways) for name, ways in self.routes.items()}
        for name, groups in self.needs.items():
            for group in groups:
                for other in group:
                    follows[other].add(name)
        return follows

    def _has_its_needs(self, name: str, done: Collection[str]) -> bool:
        return all(any(other in done for other in group) for group in self.needs[name])

    def _runnable(self, targets: Collection[str], without: str | None = None) -> frozenset[str]:
        found: set[str] = set()
        todo = list(self.needs)
        while todo:
            name = todo.pop()
            is_led_to = name not in targets or any(other in found for other in self.routers[name])
            if name not in found and name != without and is_led_to and self._has_its_needs(name, found):
                found.add(name)
                todo.extend(self._follows[name])
        return frozenset(found)


def _closure(start: Iterable[str], follows: Mapping[str, Iterable[str]]) -> frozenset[str]:
    found: set[str] = set()
    todo = list(start)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo.extend(follows[name])
    return frozenset(found)
