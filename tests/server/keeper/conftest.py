"""A keeper with a real store, compose files on disk, and the Runtime on tiny models in this process."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mcnb.runtime import Runtime
from mcnb.server.catalog import Catalog
from mcnb.server.keeper import LiveRun, RunKeeper, Settings
from mcnb.server.store import RunStore, StoredRun
from tests.server.in_process_kernels import InProcessKernels
from tests.support.runs import Models, gate, home, models, runtime  # noqa: F401

PATIENCE = 60

DEFAULTS: dict[str, Any] = {"queue_length": 8, "running": 4, "stop_grace": 0.0}


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test in an event loop of its own; what is forgotten in it fails the test."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        async def main() -> None:
            await asyncio.wait_for(test(*args, **fixtures), PATIENCE)

        asyncio.run(main())

    return run


@dataclass
class Bench:
    """One server's keeper with what it stands on."""

    keeper: RunKeeper
    store: RunStore
    kernels: InProcessKernels
    catalog: Catalog

    async def row(self, run: LiveRun) -> StoredRun:
        """The row as the store has it."""
        return await self.store.get(run.id)


@dataclass
class Place:
    """Where servers start again and again: a folder with compose files and a database."""

    folder: Path
    runtime: Runtime

    def write(self, content: Any, name: str = "model-compose.yml") -> Path:
        path = self.folder / "files" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
        return path

    @asynccontextmanager
    async def server(self, *, crash: bool = False, start: bool = True, **options: Any) -> AsyncIterator[Bench]:
        """A keeper at work; `crash` ends it as a lost process does, with nothing said to anybody."""
        known = {name: options.pop(name) for name in ("clock", "sleep") if name in options}
        environment = options.pop("environment", None)
        prepare = options.pop("prepare", lambda kernels: None)
        store = await asyncio.to_thread(RunStore.open, self.folder / "runs.db")
        catalog = Catalog([self.folder / "files"], environment)
        kernels = InProcessKernels(self.runtime)
        prepare(kernels)
        keeper = RunKeeper(store, catalog, kernels, Settings(**{**DEFAULTS, **options}), **known)  # type: ignore[arg-type]
        if start:
            await keeper.start()
        try:
            yield Bench(keeper, store, kernels, catalog)
        finally:
            if not crash:
                await keeper.stop()
            await kernels.close()
            await asyncio.to_thread(store.close)
            if crash:
                await keeper.stop()  # only so that no task is left; the store is closed


@pytest.fixture
def place(tmp_path: Path, runtime: Runtime) -> Place:  # noqa: F811
    return Place(tmp_path, runtime)


def writer(model: Path | str, **more: Any) -> dict[str, Any]:
    """A document whose workflow ``write`` goes on with a prompt."""
    action = {"text": "${input.prompt as text}", "max_output_length": 5, **more}
    component = {"id": "m", "model": str(model), **action}
    job = {"id": "j", "component": "m", "input": {"prompt": "${input.prompt as text}"}}
    return {"component": component, "workflow": {"id": "write", "jobs": [job]}}


def asking(model: Path | str = "./nowhere") -> dict[str, Any]:
    """A document whose workflow ``ask`` asks a person, and needs no model."""
    job = {"id": "j", "type": "delay", "duration": 0, "output": "a", "interrupt": {"after": {"message": "Fine?"}}}
    return {"component": {"id": "m", "model": str(model), "text": "x"}, "workflow": {"id": "ask", "jobs": [job]}}


def saying(text: str = "said", **more: Any) -> dict[str, Any]:
    """A document whose workflow ``say`` gives a text at once, and needs no model."""
    job = {"id": "j", "type": "delay", "duration": 0, "output": text}
    return {
        "component": {"id": "m", "model": "./nowhere", "text": "x"},
        "workflow": {"id": "say", "jobs": [job], "output": "${output} ${input.prompt as text}", **more},
    }


async def events_of(run: LiveRun, after: int = 0) -> list[dict[str, Any]]:
    """All events of a run, to the last one."""
    return [event async for batch in run.events(after) for event in batch]


def states(events: list[dict[str, Any]]) -> list[str]:
    return [event["state"] for event in events if event["type"] == "state"]


def is_whole(events: list[dict[str, Any]]) -> bool:
    """Whether events are numbered without gaps and end with their only terminal state."""
    terminal = [state for state in states(events) if state in ("cancelled", "completed", "failed")]
    numbered = [event["id"] for event in events] == list(range(1, len(events) + 1))
    return numbered and len(terminal) == 1 and events[-1]["type"] == "state" and events[-1]["state"] == terminal[0]


async def holds(predicate: Callable[[], bool]) -> None:
    """Let the loop turn until something holds; the test's own patience ends it."""
    while not predicate():  # noqa: ASYNC110
        await asyncio.sleep(0)


async def until(run: LiveRun, state: str) -> StoredRun:
    """Wait for a state that the run goes through."""
    async for batch in run.events():
        if state in states(batch):
            return run.row
    raise AssertionError(f"the run ended without being {state}: {run.row}")
