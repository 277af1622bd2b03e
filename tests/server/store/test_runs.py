"""Runs go in, are appended to, and come out as they went in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

import pytest

from mcnb.errors import ConflictError, InvalidInputError, NotFoundError, ServerStoppingError
from mcnb.server.store import Finish, RunStore, StoredDocument
from tests.server.store.conftest import DOCUMENT, new_run, state, token, writer


def documents(store: RunStore) -> asyncio.Future[int]:
    """How many documents the store holds."""
    count = "SELECT count(*) FROM documents"
    return writer(store).put(lambda connection: int(connection.exec_driver_sql(count).scalar_one()))


def test_an_accepted_run_has_a_row_its_document_and_its_first_event(store: RunStore) -> None:
    run = new_run(
        "r1", session_id="s", metadata={"a": [1]}, idempotency_key="k", request_sha256="x", kernel_id="n", retry_of="r0"
    )

    async def scenario() -> None:
        row, created = await store.accept(run)
        assert created
        assert row == await store.get("r1")
        given = {name: value for name, value in asdict(run).items() if name != "document"}
        assert given == {name: value for name, value in asdict(row).items() if name in given}
        assert (row.number, row.state, row.events, row.document_digest) == (1, "pending", 1, "d1")
        assert (row.started, row.finished, row.output, row.error, row.record) == (None,) * 5
        assert await store.events("r1") == [{"id": 1, "type": "state", "time": 1000.0, "state": "pending"}]
        assert await store.document_of("r1") == DOCUMENT

    asyncio.run(scenario())


def test_a_run_goes_through_its_states_to_its_end(store: RunStore) -> None:
    record = {"seed": 7, "timings": {"total": 0.25}}

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        assert await store.append("r1", [state("processing")], state="processing", started=1001.0) == [
            {"id": 2, **state("processing")}
        ]
        asked = state("interrupted", job="j", message="Go on?", value={"a": 1})
        await store.append("r1", [token("a"), asked], state="interrupted")
        row = await store.get("r1")
        assert (row.state, row.started, row.events) == ("interrupted", 1001.0, 4)
        assert row.interruption == {"state": "interrupted", "job": "j", "message": "Go on?", "value": {"a": 1}}
        await store.append("r1", [state("processing")], state="processing")
        assert (await store.get("r1")).interruption is None
        await store.append(
            "r1", [state("completed")], finish=Finish("completed", {"text": "Ünïcode \ud800"}, None, record, 1009.0)
        )
        row = await store.get("r1")
        assert (row.state, row.output, row.error, row.record) == ("completed", {"text": "Ünïcode \ud800"}, None, record)
        assert (row.finished, row.events) == (1009.0, 6)
        events = await store.events("r1")
        assert [event["id"] for event in events] == [1, 2, 3, 4, 5, 6]
        assert list(events[2]) == ["id", "type", "time", "job", "text"]

    asyncio.run(scenario())


def test_a_finished_run_takes_nothing_more(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await store.append("r1", [], finish=Finish("failed", error={"code": "timeout", "message": "m"}))
        before = await store.get("r1")
        assert before.finished is not None
        with pytest.raises(ConflictError, match="r1 is failed"):
            await store.append("r1", [token("late")])
        with pytest.raises(ConflictError):
            await store.append("r1", [], finish=Finish("completed"))
        assert await store.get("r1") == before
        assert len(await store.events("r1")) == 1

    asyncio.run(scenario())


def test_what_is_not_there_is_not_found(store: RunStore) -> None:
    async def scenario() -> None:
        questions: list[Callable[[], Any]] = [
            lambda: store.append("no", [token("a")]),
            lambda: store.delete("no"),
            lambda: store.get("no"),
            lambda: store.events("no"),
            lambda: store.document_of("no"),
        ]
        for question in questions:
            with pytest.raises(NotFoundError, match="there is no"):
                await question()
        assert await store.by_key("no") is None

    asyncio.run(scenario())


def test_states_are_checked_when_they_are_given(store: RunStore) -> None:
    with pytest.raises(ValueError, match="completed"):
        store.append("r1", [], state="completed")
    with pytest.raises(ValueError, match="running"):
        store.append("r1", [], state="running")
    with pytest.raises(ValueError, match="pending"):
        store.append("r1", [], finish=Finish("pending"))


def test_an_idempotency_key_is_one_run(store: RunStore) -> None:
    run = new_run("r1", idempotency_key="k", request_sha256="x")

    async def scenario() -> None:
        first, _ = await store.accept(run)
        assert await store.accept(replace(run, id="r2")) == (first, False)
        assert await store.by_key("k") == first
        with pytest.raises(ConflictError, match="another request"):
            await store.accept(replace(run, id="r2", request_sha256="y"))
        with pytest.raises(ConflictError, match="r1 already"):
            await store.accept(new_run("r1"))
        assert await store.counts() == {"pending": 1}

    asyncio.run(scenario())


def test_events_come_in_pages(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await store.append("r1", [token(str(n)) for n in range(2, 11)])
        assert [event["id"] for event in await store.events("r1", limit=4)] == [1, 2, 3, 4]
        assert [event["text"] for event in await store.events("r1", after=8)] == ["9", "10"]
        assert await store.events("r1", after=10) == []

    asyncio.run(scenario())


def test_only_finished_runs_are_deleted_and_their_documents_with_the_last(store: RunStore) -> None:
    async def scenario() -> None:
        for name in ("r1", "r2"):
            await store.accept(new_run(name))
        with pytest.raises(ConflictError, match="r1 is pending"):
            await store.delete("r1")
        for name in ("r1", "r2"):
            await store.append(name, [token("a")], finish=Finish("cancelled"))
        await store.delete("r1")
        with pytest.raises(NotFoundError):
            await store.get("r1")
        assert await store.document_of("r2") == DOCUMENT
        assert await documents(store) == 1
        await store.delete("r2")
        assert await documents(store) == 0
        row, _ = await store.accept(new_run("r3"))
        assert row.number == 3  # numbers are cursors: never given twice

    asyncio.run(scenario())


def test_one_document_in_two_folders_stays_two(store: RunStore) -> None:
    elsewhere = StoredDocument("d1", DOCUMENT.source, "/elsewhere", DOCUMENT.files)

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        await store.accept(new_run("r2", document=elsewhere))
        await store.accept(new_run("r3"))
        assert await store.document_of("r1") == await store.document_of("r3") == DOCUMENT
        assert await store.document_of("r2") == elsewhere
        assert await documents(store) == 2

    asyncio.run(scenario())


def test_an_operation_that_fails_harms_no_other_of_its_transaction(store: RunStore) -> None:
    async def scenario() -> None:
        await store.accept(new_run("r1"))
        results = await asyncio.gather(
            store.append("r1", [token("a")]),
            store.append("no", [token("b")]),
            store.append("r1", [token("c"), {"type": "token", "time": 1.0, "text": object()}]),  # fails half-way
            store.accept(new_run("r2", session_id="\ud800")),
            store.append("r1", [token("d")]),
            return_exceptions=True,
        )
        assert [type(result).__name__ for result in results[1:4]] == [
            "NotFoundError",
            "InternalError",
            "InvalidInputError",
        ]
        assert [event.get("text") for event in await store.events("r1")] == [None, "a", "d"]
        assert await store.counts() == {"pending": 1}
        with pytest.raises(InvalidInputError):
            await store.list(session_id="\ud800")
        with pytest.raises(InvalidInputError):
            await store.list(before=1 << 80)

    asyncio.run(scenario())


def test_results_come_in_the_order_of_the_calls(store: RunStore) -> None:
    order: list[int] = []

    async def scenario() -> None:
        await store.accept(new_run("r1"))
        futures = [asyncio.ensure_future(store.append("r1", [token(str(n))])) for n in range(100)]
        for n, future in enumerate(futures):
            future.add_done_callback(lambda _, n=n: order.append(n))
        results = await asyncio.gather(*futures)
        assert [result[0]["id"] for result in results] == list(range(2, 102))

    asyncio.run(scenario())
    assert order == list(range(100))


def test_an_operation_is_carried_out_though_nobody_waits_for_it(store: RunStore) -> None:
    async def leave() -> None:
        await store.accept(new_run("r1"))
        asyncio.ensure_future(store.append("r1", [token("a")])).cancel()
        store.append("r1", [token("b")])

    async def look() -> None:
        await store.accept(new_run("r2"))  # behind the others
        assert [event.get("text") for event in await store.events("r1")] == [None, "a", "b"]

    asyncio.run(leave())  # its loop may be closed before the result is there
    asyncio.run(look())


def test_closing_writes_what_is_queued(open_store: Callable[..., RunStore]) -> None:
    async def scenario() -> None:
        store = open_store()
        await store.accept(new_run("r1"))
        waiting = [asyncio.ensure_future(store.append("r1", [token(str(n))])) for n in range(50)]
        store.close()
        store.close()
        await asyncio.gather(*waiting)
        with pytest.raises(ServerStoppingError):
            await store.append("r1", [token("late")])
        with pytest.raises(ServerStoppingError):
            await store.get("r1")
        again = open_store()
        assert again.id == store.id
        assert len(await again.events("r1")) == 51
        assert [run.id for run in await again.unfinished()] == ["r1"]

    asyncio.run(scenario())
