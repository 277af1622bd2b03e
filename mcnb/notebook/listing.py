"""What goes on in this process: its runs, the models in memory and on disk; and how to end it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime

from mcnb.compose.suggest import suggestion
from mcnb.errors import InvalidInputError
from mcnb.models.inventory import stored_models
from mcnb.models.resident import Resident
from mcnb.runtime import Run, default_runtime
from mcnb.runtime.table import Table
from mcnb.runtime.wording import bytes_text, seconds_text

SHORT_ID = 8
LONGEST_WAIT = 10.0
"""Seconds that ``cancel`` waits for computing to stop."""


class Bytes(int):
    """A size, written as people read it."""

    def __str__(self) -> str:
        return bytes_text(self)


class Seconds(float):
    """A length of time, written as people read it."""

    def __str__(self) -> str:
        return seconds_text(self)


def running() -> Table:
    """Return the runs that are not done, the oldest first."""
    now = time.time()
    rows = [
        (run.id[:SHORT_ID], _workflow(run), run.state, run.status.line(), Seconds(max(0.0, now - run.record.created)))
        for run in _under_way()
    ]
    return Table(("id", "workflow", "state", "status", "age"), rows, empty="nothing is running")


def history(count: int, runs: Sequence[Run] | None = None) -> Table:
    """Return the latest runs that are done, the newest first: those of this process, or others."""
    known = default_runtime().runs if runs is None else runs
    rows = []
    for run in [run for run in reversed(known) if run.done][: max(0, count)]:
        record = run.record
        rows.append(
            (
                run.id[:SHORT_ID],
                _workflow(run),
                run.state,
                datetime.fromtimestamp(record.created).astimezone(),
                record.usage.output_tokens,
                record.tokens_per_second,
                record.used_seed,
                run.text if run.error is None or run.text else str(run.error),
            )
        )
    columns = ("id", "workflow", "state", "started", "tokens", "tokens/s", "seed", "text")
    return Table(columns, rows, empty="no run is done yet")


def cancel(beginning: str | None) -> str:
    """Stop a run: the only one there is, or the one whose id begins so.

    Returns
    -------
    str
        What became of it.

    Raises
    ------
    InvalidInputError
        When there is no such run, or more than one.
    """
    runs = _under_way()
    found = [run for run in runs if run.id.startswith(beginning or "")]
    if not found:
        raise _nothing_to_cancel(beginning, runs)
    if len(found) > 1:
        named = "several runs go on" if beginning is None else f"the ids of several runs begin with {beginning}"
        raise InvalidInputError(named, hint="name one: " + ", ".join(map(_named, found)))
    (run,) = found
    run.cancel()
    run.wait(LONGEST_WAIT)
    tokens = run.record.usage.output_tokens
    if not run.done:
        return f"run {_named(run)} is stopping"
    return f"run {_named(run)} is {run.state}" + (f" after {tokens} tokens" if tokens else "")


def models() -> Table:
    """Return the models in memory, then those that are on disk alone."""
    in_memory = default_runtime().cache.residents()
    rows: list[tuple[object, ...]] = [
        (
            model.name,
            "memory",
            Bytes(model.memory),
            model.dtype,
            model.device,
            model.leases,
            None if model.idle is None else Seconds(model.idle),
        )
        for model in in_memory
    ]
    for stored in stored_models():
        rows.append((stored.name, "disk", Bytes(stored.size), None, None, None, None))
    columns = ("model", "in", "size", "dtype", "device", "users", "idle")
    return Table(columns, rows, empty="no models yet; a run brings the one it needs")


def unload(name: str | None) -> str:
    """Take models out of memory: those of a name, or all.

    Returns
    -------
    str
        What left, and how much that was.

    Raises
    ------
    InvalidInputError
        When there is no such model in memory, or it is in use.
    """
    cache = default_runtime().cache
    before = cache.residents()
    if not before and name is None:
        return "no model is in memory"
    wanted = [model for model in before if name in (None, model.name)]
    if not wanted:
        hint = suggestion(name or "", [model.name for model in before], otherwise="no model is", label="there are")
        raise InvalidInputError(f"{name} is not in memory", hint=hint)
    cache.unload(name)
    left = {_place(model): model for model in cache.residents() if name in (None, model.name)}
    gone = [model for model in wanted if _place(model) not in left]
    used = ", ".join(model.name for model in left.values())
    if not gone:
        verb = "are" if len(left) > 1 else "is"
        raise InvalidInputError(f"{used} {verb} in use", hint="see %compose ps; %compose cancel stops a run")
    said = f"{', '.join(model.name for model in gone)}: {bytes_text(sum(model.memory for model in gone))} freed"
    return f"{said}; {used} stays, it is in use" if used else said


def _under_way() -> list[Run]:
    return [run for run in default_runtime().runs if not run.done]


def _nothing_to_cancel(beginning: str | None, runs: list[Run]) -> InvalidInputError:
    done = [run for run in default_runtime().runs if beginning and run.id.startswith(beginning)]
    if done:
        return InvalidInputError(f"run {done[-1].id[:SHORT_ID]} is {done[-1].state} already")
    listed = ", ".join(map(_named, runs))
    if beginning is None or not runs:
        return InvalidInputError("nothing is running")
    return InvalidInputError(f"no run's id begins with {beginning}", hint=f"there are: {listed}")


def _named(run: Run) -> str:
    return f"{run.id[:SHORT_ID]} of {_workflow(run)}"


def _workflow(run: Run) -> str:
    return "the workflow" if run.workflow.startswith("__") else run.workflow


def _place(model: Resident) -> tuple[str, str, str]:
    return model.name, model.device, model.dtype
