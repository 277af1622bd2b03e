"""A full disk: what was not acknowledged is refused at once, what was is kept until there is room, in order."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import DiskFullError, ServerError
from mcnb.server.store import Finish, RunStore
from mcnb.server.store.writer import RETRY
from tests.server.store.conftest import new_run, pragma, state, token, until_something_waits

LARGE = "x" * 100_000


def fill(store: RunStore) -> asyncio.Future[Any]:
    """Leave no room for another page."""
    return pragma(store, "max_page_count = 1")  # SQLite makes that the present size


def make_room(store: RunStore) -> asyncio.Future[Any]:
    return pragma(store, "max_page_count = 100000")


def test_an_accept_is_refused_at_once_and_names_the_place(store: RunStore, path: Path) -> None:
    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await fill(store)
        with pytest.raises(DiskFullError, match="no room on the disk") as refused:
            await store.accept(new_run("r2", request={"input": LARGE}))
        assert str(path) in refused.value.message
        assert refused.value.hint
        await make_room(store)
        assert (await store.accept(new_run("r2", request={"input": LARGE})))[1]

    asyncio.run(scenario())


def test_events_wait_in_order_until_there_is_room(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await store.accept(new_run("r2"))
        await fill(store)
        waiting = [
            asyncio.ensure_future(store.append("r1", [token(f"{n}{LARGE}")], state="processing")) for n in range(5)
        ]
        waiting.append(asyncio.ensure_future(store.append("r2", [token("small")])))
        waiting.append(asyncio.ensure_future(store.append("r1", [state("completed")], finish=Finish("completed"))))
        await until_something_waits(store)
        for name in ("r3", "r4"):
            with pytest.raises(DiskFullError):  # though it is small
                await store.accept(new_run(name))
        assert not any(future.done() for future in waiting)
        assert (await store.get("r1")).state == "pending"  # reading goes on
        await make_room(store)
        numbers = [[event["id"] for event in events] for events in await asyncio.gather(*waiting)]
        assert numbers == [[2], [3], [4], [5], [6], [2], [7]]
        assert [event.get("text", "")[:1] for event in await store.events("r1")] == ["", *"01234", ""]
        assert (await store.get("r1")).state == "completed"
        assert (await store.accept(new_run("r3")))[1]

    asyncio.run(scenario())


def test_a_large_run_does_not_take_others_of_its_transaction_with_it(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await store.append("r1", [], finish=Finish("completed", output=LARGE))
        await fill(store)
        await store.delete("r1")  # a little room: that of the large output
        answers = await asyncio.gather(
            store.accept(new_run("r2")),
            store.accept(new_run("r3", request={"input": LARGE * 3})),
            store.accept(new_run("r4")),
            return_exceptions=True,
        )
        assert [isinstance(answer, DiskFullError) for answer in answers] == [False, True, False]

    asyncio.run(scenario())


def test_deleting_makes_room(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("old"))
        await store.append("old", [token(LARGE)], finish=Finish("completed", output=LARGE))
        await store.accept(new_run("r1"))
        await fill(store)
        late = asyncio.ensure_future(store.append("r1", [token(LARGE[:50_000])]))
        await until_something_waits(store)
        await store.delete("old")
        assert [event["id"] for event in await late] == [2]

    asyncio.run(scenario())


def test_it_is_tried_every_half_second_and_not_oftener_for_each_event(open_store: Callable[..., RunStore]) -> None:
    pauses: list[float] = []

    def wait(changed: Any, seconds: float) -> None:
        pauses.append(seconds)
        changed.wait()  # until something else than more events comes

    store = open_store(wait=wait)

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await fill(store)
        first = asyncio.ensure_future(store.append("r1", [token(LARGE)]))
        await until_something_waits(store)
        while not pauses:  # noqa: ASYNC110 - a thread has no event for it
            await asyncio.sleep(0.001)
        more = [asyncio.ensure_future(store.append("r1", [token(str(n))])) for n in range(10)]
        await make_room(store)
        assert [event[0]["id"] for event in await asyncio.gather(first, *more)] == list(range(2, 13))

    asyncio.run(scenario())
    assert set(pauses) == {RETRY}
    assert len(pauses) <= 12


def test_closing_gives_up_after_a_few_tries_and_says_so(
    open_store: Callable[..., RunStore], path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario() -> None:
        store = open_store()
        await store.accept(new_run("r1"))
        await fill(store)
        late = [asyncio.ensure_future(store.append("r1", [token(LARGE)])) for _ in range(2)]
        await until_something_waits(store)
        await asyncio.to_thread(store.close)
        for future in late:
            with pytest.raises(DiskFullError):
                await future
        again = open_store()
        assert [run.events for run in await again.unfinished()] == [1]

    with caplog.at_level(logging.INFO, "mcnb"):
        asyncio.run(scenario())
    said = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(said) == 1
    assert said[0].startswith("2 changes of runs could not be written and are lost")
    assert str(path) in said[0]


def test_closing_still_writes_what_has_room_again(open_store: Callable[..., RunStore]) -> None:
    async def scenario() -> None:
        store = open_store()
        await store.accept(new_run("r1"))
        await fill(store)
        late = asyncio.ensure_future(store.append("r1", [token(LARGE)]))
        await until_something_waits(store)
        room = make_room(store)
        await asyncio.to_thread(store.close)
        await room
        assert [event["id"] for event in await late] == [2]

    asyncio.run(scenario())


def test_another_program_that_holds_the_file_only_delays(
    open_store: Callable[..., RunStore], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mcnb.server.store.database._PATIENCE", 10)
    store = open_store()

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            late = asyncio.ensure_future(store.append("r1", [token("a")]))
            with pytest.raises(ServerError, match="another program holds the run database"):
                await store.accept(new_run("r2"))
            assert not late.done()
            other.execute("ROLLBACK")
        assert [event["id"] for event in await late] == [2]
        await store.accept(new_run("r2"))

    asyncio.run(scenario())


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_a_disk_that_fails_in_the_middle_of_a_write_loses_nothing(store: RunStore, path: Path) -> None:
    """The system refuses to let the log grow: the failure comes while a transaction is being written out."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        for _ in range(5):
            await store.append("r1", [token(LARGE * 3)])  # a log that is larger than what this process writes else
        log = path.with_name("runs.db-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (log + 10_000, hard))
        try:
            late = [asyncio.ensure_future(store.append("r1", [token(f"{n}{LARGE * 40}")])) for n in range(3)]
            await until_something_waits(store)
            with pytest.raises(ServerError, match="fails"):
                await store.accept(new_run("r2"))
            assert (await store.get("r1")).events == 6
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert [events[0]["id"] for events in await asyncio.gather(*late)] == [7, 8, 9]
        assert [event["text"][0] for event in await store.events("r1", after=6)] == ["0", "1", "2"]
        assert await pragma(store, "integrity_check") == "ok"

    asyncio.run(scenario())


@pytest.mark.skipif(os.name != "posix", reason="limits of a process")
def test_no_room_to_make_the_file(open_store: Callable[..., RunStore], monkeypatch: pytest.MonkeyPatch) -> None:
    """The first page already finds no room; the file is made when there is some."""
    import resource

    monkeypatch.setattr("mcnb.server.store.failures._SMALL", 1 << 80)  # an error of the disk means that it is full
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(DiskFullError):
            open_store()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    open_store()
