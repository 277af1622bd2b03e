"""Many at once: numbers without gaps, one end for each run, one run for each key."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading

from mcnb.errors import ConflictError
from mcnb.server.store import Finish, RunStore, StoredRun
from tests.server.store.conftest import new_run, state, token


def test_sixteen_writers_number_without_gaps(store: RunStore) -> None:
    async def write(writer: int) -> list[int]:
        numbers: list[int] = []
        for turn in range(40):
            events = [token(f"{writer}:{turn}")] * random.Random(writer * turn).randint(1, 4)
            numbers += [event["id"] for event in await store.append("r1", events)]
        return numbers

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        given = await asyncio.gather(*(write(writer) for writer in range(16)))
        numbers = sorted(number for mine in given for number in mine)
        assert numbers == list(range(2, len(numbers) + 2))
        assert all(mine == sorted(mine) for mine in given)
        events = await store.events("r1", limit=10_000)
        assert [event["id"] for event in events] == list(range(1, len(numbers) + 2))
        assert (await store.get("r1")).events == len(events)

    asyncio.run(scenario())


def test_exactly_one_of_many_ends_wins(store: RunStore) -> None:
    async def end(n: int) -> int | None:
        kind = ("completed", "failed", "cancelled")[n % 3]
        try:
            await store.append("r1", [token(str(n)), state(kind)], finish=Finish(kind, output=n))
        except ConflictError:
            return None
        return n

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        won = [n for n in await asyncio.gather(*(end(n) for n in range(24))) if n is not None]
        assert len(won) == 1
        row = await store.get("r1")
        assert (row.output, row.events) == (won[0], 3)
        assert [event.get("text") for event in await store.events("r1")] == [None, str(won[0]), None]

    asyncio.run(scenario())


def test_exactly_one_end_wins_from_many_threads(store: RunStore) -> None:
    """Each thread has an event loop of its own."""
    asyncio.run(_accept(store))
    gate = threading.Barrier(8)
    won: list[int] = []

    async def end(n: int) -> None:
        gate.wait()
        await store.append("r1", [token(str(n))], finish=Finish("completed", output=n))
        won.append(n)

    def thread(n: int) -> None:
        with contextlib.suppress(ConflictError):
            asyncio.run(end(n))

    threads = [threading.Thread(target=thread, args=(n,)) for n in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(won) == 1


async def _accept(store: RunStore) -> None:
    await store.accept(new_run("r1"))


def test_concurrent_accepts_with_one_key_make_one_row(store: RunStore) -> None:
    async def scenario() -> list[tuple[StoredRun, bool]]:
        answers = await asyncio.gather(
            *(store.accept(new_run(f"r{n}", idempotency_key="k", request_sha256="x")) for n in range(32))
        )
        assert await store.counts() == {"pending": 1}
        return list(answers)

    answers = asyncio.run(scenario())
    assert sorted(created for _, created in answers) == [False] * 31 + [True]
    assert len({row.id for row, _ in answers}) == 1


def test_readers_see_whole_changes_only(store: RunStore) -> None:
    """A row's number of events is that of its last event, at every moment."""

    async def write() -> None:
        for n in range(60):
            await store.append("r1", [token(str(n))] * 3)

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        writing = asyncio.ensure_future(write())
        while not writing.done():
            before = (await store.get("r1")).events
            events = await store.events("r1", limit=10_000)
            assert len(events) >= before
            assert len(events) % 3 == 1
        await writing

    asyncio.run(scenario())
