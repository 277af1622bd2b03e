"""Workflows of several jobs on tiny models, written in a few lines."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from mcnb.runtime import Compose, Run, Runtime, load
from tests.support.runs import job_events

PATIENCE = 60


def workflow(runtime: Runtime, jobs: list[dict[str, Any]], *, model: Path | str = "./nowhere", **more: Any) -> Compose:
    """Load a workflow; jobs without a type call the component ``m``, which generates one token behind ``said``."""
    component = {"id": "m", "model": str(model), "text": "${input.said}", "max_output_length": 1}
    document = {"workflow": {"jobs": [_job(job) for job in jobs], **more}, "component": component}
    return load(text=json.dumps(document), runtime=runtime)


def _job(job: dict[str, Any]) -> dict[str, Any]:
    return job if "type" in job else {"component": "m", **job}


def says(name: str, text: str, **more: Any) -> dict[str, Any]:
    """A job whose output is a text, made without any model."""
    return {"id": name, "type": "delay", "duration": 0, "output": text, **more}


def ends(run: Run) -> dict[str, str]:
    """The last state of each job, by id."""
    return {event.data["job"]: event.data["state"] for event in job_events(run)}


def started(run: Run) -> list[str]:
    """The ids of the jobs that were started, in order, each time they were."""
    seen: list[str] = []
    for event in job_events(run):
        fresh = event.data["state"] == "processing" and "item" not in event.data and event.data.get("attempt", 1) == 1
        seen += [event.data["job"]] if fresh else []
    return seen


class Clock:
    """Sleeps for no time, and notes for how long it was asked to; or for ever, until it is woken."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.stands = False

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        if self.stands:
            await asyncio.Event().wait()
        await asyncio.sleep(0)
