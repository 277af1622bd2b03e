"""Working out a run's status from its events, one by one; what time it is, the events say."""

from __future__ import annotations

import threading
from typing import Any, cast

from mcnb.runtime.events import Event, EventLog
from mcnb.runtime.status import Stage, Status
from mcnb.runtime.wording import seconds_text

SHORTEST = 0.5
"""Seconds from which on a speed means something."""

_STAGES: dict[str, Stage] = {
    "pending": "waiting",
    "processing": "waiting",
    "interrupted": "interrupted",
    "cancelling": "stopping",
    "cancelled": "cancelled",
    "completed": "completed",
    "failed": "failed",
}
_ENDS = ("completed", "cancelled", "failed")
_PREPARATIONS = ("download", "convert", "load")


class StatusTracker:
    """Works out a run's status; each event costs the same, however many came before.

    It shows one thing at a time: of several jobs that generate side by side the one that began first, and what prepares
    a model only while nothing is generated.
    """

    def __init__(self) -> None:
        self._stage: Stage = "waiting"
        self._what = ""
        self._jobs: dict[str, _Job] = {}
        self._generating: dict[str, None] = {}
        self._pauses: dict[str, str] = {}
        self._preparation: Event | None = None
        self._started: dict[tuple[str, str], tuple[float, int]] = {}
        self._tokens = 0

    def add(self, event: Event) -> None:
        """Take the next event."""
        if event.type == "state":
            self._take_state(event.data)
        elif event.type in _PREPARATIONS:
            self._started.setdefault((event.type, event.data["what"]), (event.time, event.data["done"]))
            self._preparation = event
        elif event.type == "job":
            self._take_job(event)
        elif event.type in ("prompt", "token"):
            self._take_generation(event)

    @property
    def status(self) -> Status:
        """What the run was doing when the last event came."""
        if self._stage != "waiting":
            return Status(self._stage, self._what, tokens=self._tokens)
        if self._generating:
            return self._jobs[next(iter(self._generating))].status()
        if self._preparation is not None:
            return self._prepared(self._preparation)
        return Status("waiting", next(iter(self._pauses.values()), self._what))

    def _take_state(self, data: dict[str, Any]) -> None:
        state = data["state"]
        self._stage, self._what = _STAGES[state], "the model" if state == "processing" else ""
        if state == "interrupted":
            self._what = data.get("message") or ""
            self._forget(data.get("job", ""))
            self._preparation = None
        elif state == "failed":
            self._what = data.get("error", {}).get("message", "")

    def _take_job(self, event: Event) -> None:
        job, state = event.data["job"], event.data["state"]
        self._pauses.pop(job, None)
        if state in _ENDS:
            self._forget(job)
        elif state == "waiting":
            self._forget(job)
            self._pauses[job] = _pause(event.data)
            self._preparation = None
        elif "items" in event.data:
            self._job(event).take_item(event)

    def _take_generation(self, event: Event) -> None:
        job = self._job(event)
        if event.type == "prompt":
            job.take_prompt(event)
        else:
            self._tokens += job.take_token(event)
        self._generating.setdefault(event.data["job"])
        self._preparation = None

    def _job(self, event: Event) -> _Job:
        name = event.data["job"]
        if name not in self._jobs:
            self._jobs[name] = _Job(name)
        return self._jobs[name]

    def _forget(self, name: str) -> None:
        self._jobs.pop(name, None)
        self._generating.pop(name, None)

    def _prepared(self, event: Event) -> Status:
        data = event.data
        done, total = data["done"], data["total"]
        since, before = self._started[event.type, data["what"]]
        elapsed = event.time - since
        speed = (done - before) / elapsed if elapsed >= SHORTEST and before < done < total else None
        return Status(
            cast(Stage, event.type),
            data["what"],
            done,
            total,
            data["unit"],
            units_per_second=speed,
            seconds_left=None if speed is None else (total - done) / speed,
        )


def _pause(data: dict[str, Any]) -> str:
    """Say what a job waits for that lets time pass."""
    seconds = seconds_text(data["seconds"])
    return f"{seconds} before attempt {data['attempt']} of {data['attempts']}" if "attempt" in data else seconds


class Tracking:
    """The status of a run, worked out from its log when somebody asks, by whatever thread."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._seen = 0
        self._tracker = StatusTracker()
        self._lock = threading.Lock()

    @property
    def status(self) -> Status:
        """What the run is doing."""
        with self._lock:
            for event in self._log.after(self._seen):
                self._seen += 1
                self._tracker.add(event)
            return self._tracker.status


class _Job:
    """A job under way: its items, and the generation it is at."""

    def __init__(self, name: str) -> None:
        self.name = "" if name.startswith("__") else name
        self.item: int | None = None
        self.items: int | None = None
        self.began = self.item_began = 0.0
        self.last = 0.0
        self.prompt_tokens: int | None = None
        self.budget: int | None = None
        self.tokens = 0
        self.first: tuple[float, int] | None = None

    def take_item(self, event: Event) -> None:
        if self.item is None:
            self.began = event.time
        self.item_began = event.time
        self.item, self.items = event.data["item"], event.data["items"]
        self.last = event.time

    def take_prompt(self, event: Event) -> None:
        self.prompt_tokens, self.budget = event.data["tokens"], event.data["budget"]
        self.tokens, self.first = 0, None
        self.last = event.time

    def take_token(self, event: Event) -> int:
        """Take a token; return how many are new."""
        before, self.tokens = self.tokens, event.data["tokens"]
        self.prompt_tokens = None
        self.last = event.time
        if self.tokens < before:  # another generation
            before, self.first = 0, None
        if self.tokens and self.first is None:
            self.first = event.time, self.tokens
        return self.tokens - before

    def status(self) -> Status:
        reads = self.prompt_tokens is not None
        speed = self._speed()
        return Status(
            "prompt" if reads else "generating",
            self.name,
            tokens=(self.prompt_tokens or 0) if reads else self.tokens,
            budget=self.budget,
            tokens_per_second=speed,
            seconds_left=self._seconds_left(speed),
            item=None if self.item is None else self.item + 1,
            items=self.items,
        )

    def _speed(self) -> float | None:
        if self.first is None:
            return None
        seconds, tokens = self.last - self.first[0], self.tokens - self.first[1]
        return tokens / seconds if seconds >= SHORTEST and tokens > 0 else None

    def _seconds_left(self, speed: float | None) -> float | None:
        """Guess from the items that are done; while there are none, from the budget, which is the most."""
        if self.item and self.items is not None:
            each = (self.item_began - self.began) / self.item
            left = each * (self.items - self.item) - (self.last - self.item_began)
            return max(0.0, left) if self.last - self.began >= SHORTEST else None
        if speed is None or self.budget is None:
            return None
        tokens = self.budget * (self.items or 1) - self.tokens
        return max(0, tokens) / speed
