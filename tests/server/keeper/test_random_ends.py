"""Whatever happens in whatever order: every run that was taken ends exactly once, and its events have no gaps."""

from __future__ import annotations

import asyncio
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcnb.errors import ConflictError, KernelDiedError, McnbError, OutOfMemoryError, QueueFullError
from mcnb.runtime.interruption import KEPT
from mcnb.server.catalog import Catalog
from mcnb.server.keeper import LiveRun, RunKeeper, RunRequest, Settings
from mcnb.server.kernels import KernelOrder, RunListener
from mcnb.server.store import RunStore
from tests.server.keeper.conftest import events_of, is_whole, saying

TERMINAL = ("cancelled", "completed", "failed")


class Puppet:
    """A kernel that does what the test says, and what it was told to stop may end in any way."""

    def __init__(self, kernel_id: str) -> None:
        self.kernel_id = kernel_id
        self.alive = True
        self.held: dict[str, RunListener] = {}

    @property
    def runs(self) -> frozenset[str]:
        return frozenset(self.held)

    def run(self, order: KernelOrder, listener: RunListener) -> None:
        if self.alive:
            self.held[order.id] = listener
        else:
            asyncio.get_running_loop().call_soon(listener.on_died, KernelDiedError("gone"))

    def cancel(self, run_id: str) -> None:
        """Nothing at once: the run hears of it later, or is over by then."""

    async def resume(self, run_id: str, answer: Any = KEPT) -> None:
        if run_id not in self.held:
            raise ConflictError("over")
        self.held[run_id].on_events([state("processing")])

    def die(self) -> None:
        self.alive = False
        held, self.held = self.held, {}
        for listener in held.values():
            listener.on_died(KernelDiedError("the kernel is gone"))

    async def close(self) -> None:
        self.alive, self.held = False, {}


class Puppets:
    """The kernels of one server."""

    def __init__(self) -> None:
        self.own: Puppet | None = None
        self.fails = 0
        self.open = asyncio.Event()
        self.open.set()
        self.starts = 0

    @property
    def runtime_kernel_id(self) -> str | None:
        return self.own.kernel_id if self.own is not None and self.own.alive else None

    async def runtime(self) -> Puppet:
        if self.own is None or not self.own.alive:
            await self.open.wait()
            if self.fails:
                self.fails -= 1
                raise KernelDiedError("it cannot be started")
            self.starts += 1
            self.own = Puppet(f"k{self.starts}")
        return self.own


def state(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "state", "time": 5.0, "state": name, **more}


def token(text: str) -> dict[str, Any]:
    return {"type": "token", "time": 5.0, "job": "j", "item": 0, "text": text, "tokens": 1, "streamed": True}


class Story:
    """What happens to one server, step by step."""

    def __init__(self, store: RunStore, catalog: Catalog) -> None:
        self.store = store
        self.catalog = catalog
        self.taken: dict[str, LiveRun] = {}
        self.followed: dict[str, asyncio.Task[list[dict[str, Any]]]] = {}
        self.asking: list[asyncio.Task[Any]] = []
        self.kernels = Puppets()
        self.keeper = self.made()

    def made(self) -> RunKeeper:
        bounds = Settings(queue_length=3, running=2, stop_grace=0.0)
        return RunKeeper(self.store, self.catalog, self.kernels, bounds)  # type: ignore[arg-type]

    async def step(self, what: str, number: int) -> None:
        await getattr(self, what)(number)

    async def submit(self, number: int) -> None:
        try:
            run, _ = await self.keeper.submit(
                RunRequest(input={"prompt": "x"}, priority=("interactive", "api", "bulk")[number % 3])
            )
        except QueueFullError:
            return
        self.follow(run)

    def follow(self, run: LiveRun) -> None:
        self.taken[run.id] = run
        self.followed[run.id] = asyncio.create_task(events_of(run))

    async def cancel(self, number: int) -> None:
        if self.taken:
            run_id = list(self.taken)[number % len(self.taken)]
            self.asking.append(asyncio.create_task(self.keeper.cancel(run_id)))

    async def turn(self, number: int) -> None:
        for _ in range(number):
            await asyncio.sleep(0)

    def of_kernel(self, number: int) -> tuple[str, RunListener] | None:
        own = self.kernels.own
        if own is None or not own.held:
            return None
        run_id = list(own.held)[number % len(own.held)]
        return run_id, own.held[run_id]

    async def start(self, number: int) -> None:
        if found := self.of_kernel(number):
            found[1].on_events([state("processing"), token("a")])

    async def text(self, number: int) -> None:
        if found := self.of_kernel(number):
            found[1].on_events([token("b")] * (number % 3))

    async def ask(self, number: int) -> None:
        if found := self.of_kernel(number):
            found[1].on_events([state("interrupted", job="j", phase="after", value=1)])

    async def resume(self, number: int) -> None:
        if self.taken:
            run_id = list(self.taken)[number % len(self.taken)]
            self.asking.append(asyncio.create_task(self.keeper.resume(run_id)))

    async def finish(self, number: int) -> None:
        if found := self.of_kernel(number):
            run_id, listener = found
            assert self.kernels.own is not None
            del self.kernels.own.held[run_id]
            end = TERMINAL[number % 3]
            error = None if end == "completed" else {"code": "internal", "message": "m"}
            told = [token("c"), {"type": "output", "time": 6.0, "output": "o"}] if end == "completed" else []
            last = state(end, **({"error": error} if error else {}))
            listener.on_finished([*told, last], end, "o" if end == "completed" else None, error, {"state": end})

    async def refuse(self, number: int) -> None:
        if found := self.of_kernel(number):
            assert self.kernels.own is not None
            del self.kernels.own.held[found[0]]
            found[1].on_refused(OutOfMemoryError("no"))

    async def die(self, number: int) -> None:
        if self.kernels.own is not None:
            self.kernels.own.die()

    async def fail_start(self, number: int) -> None:
        self.kernels.fails += 1

    async def shut(self, number: int) -> None:
        self.kernels.open.clear()

    async def open(self, number: int) -> None:
        self.kernels.open.set()

    async def restart(self, number: int) -> None:
        """The server stops, and another one takes its place."""
        await self.keeper.stop()
        if self.kernels.own is not None:
            await self.kernels.own.close()
        seen = {run_id: await task for run_id, task in self.followed.items()}
        self.kernels.open.set()
        self.kernels = Puppets()
        self.keeper = self.made()
        await self.keeper.start()
        for run_id, earlier in seen.items():
            run = await self.keeper.find(run_id)
            stored = await self.store.events(run_id)
            assert stored[: len(earlier)] == earlier, "what a reader has seen stays"
            self.follow(run)

    async def end(self) -> None:
        """Let everything come to its end, and look at it."""
        self.kernels.open.set()
        self.kernels.fails = 0
        waiting = [asyncio.create_task(run.wait()) for run in self.taken.values()]
        while not all(task.done() for task in waiting):
            await self.finish(random.randrange(9))
            await asyncio.sleep(0)
        for answer in await asyncio.gather(*self.asking, return_exceptions=True):
            assert not isinstance(answer, BaseException) or isinstance(answer, McnbError), answer
        for run_id, run in self.taken.items():
            row = await self.store.get(run_id)
            stored = await self.store.events(run_id)
            assert is_whole(stored), stored
            assert row.state == stored[-1]["state"]
            assert row.events == len(stored)
            assert row == run.row
            assert await self.followed[run_id] == stored
            assert (row.output is not None) == (row.state == "completed")
            if "cancelling" in [event.get("state") for event in stored]:
                assert row.state != "completed"
        assert self.keeper.ready()["queued"] == self.keeper.ready()["running"] == 0
        await self.keeper.stop()
        assert not len(self.keeper._keeping)


STEPS = (
    "submit", "submit", "submit", "cancel", "turn", "turn", "start", "text", "ask", "resume", "finish", "finish",
    "refuse", "die", "fail_start", "shut", "open", "restart",
)  # fmt: skip


@pytest.fixture(scope="module")
def story_store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    store = RunStore.open(tmp_path_factory.mktemp("random") / "runs.db")
    yield store
    store.close()


@pytest.fixture(scope="module")
def story_catalog(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    path: Path = tmp_path_factory.mktemp("files") / "model-compose.yml"
    path.write_text(json.dumps(saying()), encoding="utf-8")
    return Catalog([path])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 8)), min_size=5, max_size=40))
def test_every_run_ends_once(story_store: RunStore, story_catalog: Catalog, steps: list[tuple[str, int]]) -> None:
    async def tell() -> None:
        story = Story(story_store, story_catalog)
        await story.keeper.start()
        for what, number in steps:
            await story.step(what, number)
        await asyncio.wait_for(story.end(), 60)

    asyncio.run(tell())
