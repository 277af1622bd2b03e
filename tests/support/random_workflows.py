"""Random workflows without loops, and a reference that runs their jobs one after the other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from mcnb.errors import InvalidInputError, ModelNotFoundError
from mcnb.runtime import Run
from tests.support.runs import FIRST_LINE

Job = dict[str, Any]


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
