"""Workflows whose jobs ask a person, on tiny models."""

from __future__ import annotations

import json
from typing import Any

from mcnb.runtime import Compose, Run, Runtime, load
from mcnb.runtime.interruption import Interruption

PATIENCE = 60


def pausing(runtime: Runtime, model: Any, interrupt: Any, **more: Any) -> Compose:
    """One job that asks a person."""
    job = {"id": "write", "component": "m", "input": {"prompt": "${input.prompt}"}, "interrupt": interrupt, **more}
    component = {"id": "m", "model": str(model), "text": "${input.prompt as text}"}
    return load(text=json.dumps({"workflow": {"jobs": [job]}, "component": component}), runtime=runtime)


def chain(runtime: Runtime, model: Any, **interrupts: Any) -> Compose:
    """Two jobs: the second writes a token behind what the first gives."""
    jobs = [
        {"id": "first", "component": "m", "input": {"prompt": "${input.prompt}"}},
        {"id": "second", "component": "m", "depends_on": ["first"], "input": {"prompt": "${jobs.first.output}"}},
    ]
    for job in jobs:
        if job["id"] in interrupts:
            job["interrupt"] = interrupts[str(job["id"])]
    component = {"id": "m", "model": str(model), "text": "${input.prompt as text}", "max_output_length": 1}
    return load(text=json.dumps({"workflow": {"jobs": jobs}, "component": component}), runtime=runtime)


def asked(run: Run) -> Interruption:
    """The interruption of a run that has come to one."""
    assert run.settle(PATIENCE)
    assert run.state == "interrupted", run.error
    found = run.interruption
    assert found is not None
    return found


def prompts(run: Run) -> list[str | None]:
    return [item.prompt for item in run.record.generations]
