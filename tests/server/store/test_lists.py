"""Lists of runs, and what retention leaves of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from mcnb.server.store import TERMINAL, Finish, RunStore
from tests.server.store.conftest import new_run, token


async def ids(store: RunStore, **filters: object) -> list[str]:
    return [run.id for run in await store.list(**filters)]  # type: ignore[arg-type]


def test_lists_are_filtered_and_newest_first(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("a", created=10.0, workflow="x", session_id="s"))
        await store.accept(new_run("b", created=20.0, workflow="y", session_id="s"))
        await store.accept(new_run("c", created=30.0, workflow="x"))
        await store.append("b", [], finish=Finish("completed", output="text", record={"seed": 1}))
        await store.append("c", [], state="processing")
        assert await ids(store) == ["c", "b", "a"]
        assert await ids(store, states=["completed", "pending"]) == ["b", "a"]
        assert await ids(store, states=[]) == []
        assert await ids(store, workflow="x") == ["c", "a"]
        assert await ids(store, session_id="s") == ["b", "a"]
        assert await ids(store, session_id="s", workflow="y") == ["b"]
        assert await ids(store, created_after=10.0) == ["c", "b"]
        assert await ids(store, created_before=30.0) == ["b", "a"]
        assert await ids(store, created_after=10.0, created_before=30.0) == ["b"]
        assert await ids(store, limit=1) == ["c"]
        listed = (await store.list(states=["completed"]))[0]
        assert (listed.output, listed.record, listed.request) == (None, None, new_run("b").request)
        assert [run.id for run in await store.unfinished()] == ["a", "c"]
        assert await store.counts() == {"pending": 1, "completed": 1, "processing": 1}

    asyncio.run(scenario())


def test_pages_are_stable_while_runs_come_in_and_go(store: RunStore) -> None:
    async def scenario() -> None:
        for n in range(25):
            await store.accept(new_run(f"r{n}"))
        seen: list[str] = []
        cursor: int | None = None
        while page := await store.list(before=cursor, limit=4):
            seen += [run.id for run in page]
            cursor = page[-1].number
            await store.accept(new_run(f"new{cursor}"))
            await store.append(page[-1].id, [], finish=Finish("cancelled"))
            await store.delete(page[-1].id)  # the very run the cursor stands on
        assert seen == [f"r{n}" for n in reversed(range(25))]

    asyncio.run(scenario())


def test_retention_never_touches_unfinished_runs(open_store: Callable[..., RunStore]) -> None:
    store = open_store(clock=lambda: 1000.0)
    kinds = ("pending", "processing", "interrupted", "cancelling", *TERMINAL)

    async def scenario() -> None:
        for n in range(21):
            kind = kinds[n % 7]
            await store.accept(new_run(f"{kind}{n}", created=float(n)))
            finish = Finish(kind, finished=900.0 + n) if kind in TERMINAL else None
            await store.append(f"{kind}{n}", [token("a")], state=None if finish else kind, finish=finish)
        unfinished = await store.unfinished()
        assert len(unfinished) == 12
        assert await store.retain(max_age=None, max_count=None) == 0
        assert await store.retain(max_age=94.0, max_count=None) == 2  # those that ended at 904 and 905
        assert await store.unfinished() == unfinished
        assert await store.retain(max_age=None, max_count=3) == 4
        kept = [run.id for run in await store.list(states=TERMINAL)]
        assert kept == ["failed20", "completed19", "cancelled18"]
        assert len(await store.events("failed20")) == 2
        assert await store.retain(max_age=0.0, max_count=0) == 3
        assert await store.unfinished() == unfinished
        assert await store.retain(max_age=0.0, max_count=0) == 0

    asyncio.run(scenario())


def test_what_is_deleted_gives_its_room_back(open_store: Callable[..., RunStore]) -> None:
    store = open_store()

    async def scenario() -> None:
        for n in range(50):
            await store.accept(new_run(f"r{n}"))
            await store.append(f"r{n}", [], finish=Finish("completed", output="x" * 20_000))
        await store.retain(max_age=None, max_count=1)

    asyncio.run(scenario())
    store.close()
    assert store.path.stat().st_size < 200_000
