"""A run from its request to its end."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from mcnb.errors import ConflictError, InvalidInputError, NotFoundError, OutOfMemoryError
from mcnb.server.keeper import RunRequest
from tests.server.keeper.conftest import (
    Place,
    asking,
    events_of,
    holds,
    in_loop,
    is_whole,
    saying,
    states,
    until,
    writer,
)
from tests.support.runs import FIRST_LINE, Models
from tests.support.texts import POEM


@in_loop
async def test_a_run_is_stored_streamed_and_completed(place: Place, models: Models) -> None:
    place.write(writer(models.poet, max_output_length=200))
    async with place.server() as bench:
        run, created = await bench.keeper.submit(
            RunRequest(input={"prompt": FIRST_LINE}, session_id="s1", metadata={"who": "me"}, seed=7)
        )
        assert created
        assert (await bench.row(run)).state in ("pending", "processing"), "the row is there as soon as submit returns"
        live = await events_of(run)
        row = await run.wait()
        assert row.state == "completed"
        assert row.output == POEM
        assert (row.workflow, row.session_id, row.metadata) == ("write", "s1", {"who": "me"})
        assert row.request["seed"] == 7
        assert row.record is not None
        assert row.record["seed"] == 7
        assert row.started is not None
        assert row.finished is not None
        assert row.created <= row.started <= row.finished
        assert is_whole(live)
        assert states(live) == ["pending", "processing", "completed"]
        text = "".join(event["text"] for event in live if event["type"] == "token")
        assert text == POEM
        stored = await bench.store.events(run.id, 0, 10_000)
        assert stored == live, "what was streamed is what is stored"
        assert await bench.row(run) == row
        again = await bench.keeper.find(run.id)
        assert await events_of(again) == live
        assert await events_of(again, after=3) == live[3:]
        assert await events_of(again, after=10_000) == []
        assert (await again.wait()) == row


@in_loop
async def test_a_finished_run_that_nobody_reads_leaves_memory(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}))
        await run.wait()
        gone, run_id = weakref.ref(run), run.id
        await holds(lambda: not len(bench.keeper._keeping))
        del run
        gc.collect()
        assert gone() is None
        assert (await bench.keeper.find(run_id)).row.output == "said x"


@in_loop
async def test_readers_that_come_late_and_leave_early_see_the_same(place: Place, models: Models) -> None:
    place.write(writer(models.poet, max_output_length=200))
    async with place.server() as bench:
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": FIRST_LINE}))
        first = asyncio.create_task(events_of(run))
        leaving = asyncio.create_task(events_of(run))
        await until(run, "processing")
        leaving.cancel()
        late = asyncio.create_task(events_of(run, after=2))
        whole = await first
        assert await late == whole[2:]
        assert is_whole(whole)


@in_loop
async def test_a_run_that_fails_says_why(place: Place) -> None:
    place.write(writer("./nowhere"))
    async with place.server() as bench:
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}))
        row = await run.wait()
        assert row.state == "failed"
        assert row.error is not None
        assert row.error["code"] == "model_not_found"
        assert is_whole(await events_of(run))


@in_loop
async def test_a_run_that_its_kernel_refuses_fails(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.refusals.append(OutOfMemoryError("it does not fit"))
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}))
        assert (await run.wait()).error == {"code": "out_of_memory", "message": "it does not fit"}
        assert states(await events_of(run)) == ["pending", "failed"]
        following, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}))
        assert (await following.wait()).state == "completed", "its place is free again"


@in_loop
async def test_a_person_answers(place: Place) -> None:
    place.write(asking())
    async with place.server() as bench:
        run, _ = await bench.keeper.submit(RunRequest())
        row = await run.wait(or_interrupted=True)
        assert row.state == "interrupted"
        assert row.interruption is not None
        assert row.interruption["message"] == "Fine?"
        assert row == await bench.row(run), "memory and store say the same"
        await bench.keeper.resume(run.id, "b")
        done = await run.wait()
        assert (done.state, done.output, done.interruption) == ("completed", "b", None)
        assert done == await bench.row(run)
        assert states(await events_of(run)) == ["pending", "processing", "interrupted", "processing", "completed"]
        with pytest.raises(ConflictError, match="completed"):
            await bench.keeper.resume(run.id, "c")


@in_loop
async def test_an_answer_that_does_not_fit_leaves_the_run_waiting(place: Place, models: Models) -> None:
    document = writer(models.poet)
    document["workflow"]["jobs"][0]["interrupt"] = {"before": {"message": "This?"}}
    place.write(document)
    async with place.server() as bench:
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": FIRST_LINE}))
        await run.wait(or_interrupted=True)
        with pytest.raises(InvalidInputError):
            await bench.keeper.resume(run.id, 5)
        assert run.state == "interrupted"
        row = await bench.keeper.resume(run.id)
        assert row.state != "interrupted"
        assert (await run.wait()).state == "completed"


@in_loop
async def test_only_an_interrupted_run_can_be_resumed(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}))
        with pytest.raises(ConflictError, match="not interrupted"):
            await bench.keeper.resume(run.id)
        with pytest.raises(NotFoundError):
            await bench.keeper.resume("nothing")
        bench.kernels.release()
        await run.wait()


@in_loop
async def test_a_slow_store_gets_merged_events_in_order(place: Place, models: Models) -> None:
    """While a write is under way the text piles up as one event, and readers are told of nothing that is not stored."""
    place.write(writer(models.poet, max_output_length=200))
    async with place.server() as bench:
        write, released = bench.store.append, asyncio.Event()
        written: list[int] = []

        async def slow(run_id: str, events: object, **more: object) -> object:
            await released.wait()
            stored = await write(run_id, events, **more)  # type: ignore[arg-type]
            written.append(len(stored))
            return stored

        bench.store.append = slow  # type: ignore[assignment, method-assign]
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": FIRST_LINE}))
        await holds(lambda: bool(bench.kernels.links) and run.id in bench.kernels.links[0].ours)
        await asyncio.to_thread(bench.kernels.links[0].ours[run.id].wait, 60)
        await holds(lambda: not bench.kernels.links[0].runs)
        assert run.state == "pending"
        assert run.row.events == 1
        assert not run.done
        released.set()
        events = await events_of(run)
        assert (await run.wait()).output == POEM
        assert is_whole(events)
        assert len(written) == 2, "what was under way, and all that piled up meanwhile"
        tokens = [event for event in events if event["type"] == "token"]
        assert "".join(event["text"] for event in tokens) == POEM
        assert len(tokens) < 5


@in_loop
async def test_retry_does_the_same_again(place: Place, models: Models) -> None:
    place.write(writer(models.dice, max_output_length=20))
    async with place.server() as bench:
        first, _ = await bench.keeper.submit(
            RunRequest(input={"prompt": "x"}, parameters={"temperature": 1.5}, priority="bulk", session_id="s")
        )
        done = await first.wait()
        place.write(writer(models.poet))  # edited meanwhile: the run is done again with what it was done with
        second = await bench.keeper.retry(first.id)
        row = await second.wait()
        assert row.output == done.output
        assert row.id != done.id
        assert (row.retry_of, row.request, row.priority, row.session_id) == (first.id, done.request, "bulk", "s")
        assert row.document_digest == done.document_digest


@in_loop
async def test_a_run_under_way_cannot_be_retried_or_deleted(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}))
        with pytest.raises(ConflictError):
            await bench.keeper.retry(run.id)
        with pytest.raises(ConflictError):
            await bench.keeper.delete(run.id)
        bench.kernels.release()
        await run.wait()
        await bench.keeper.delete(run.id)
        with pytest.raises(NotFoundError):
            await bench.keeper.find(run.id)
        with pytest.raises(NotFoundError):
            await bench.keeper.delete(run.id)


@in_loop
async def test_a_run_for_an_existing_kernel_goes_there_at_once(place: Place) -> None:
    place.write(saying())
    async with place.server(queue_length=0, running=0) as bench:
        bench.kernels.others.add("k1")
        run, _ = await bench.keeper.submit(RunRequest(input={"prompt": "x"}, kernel_id="k1"))
        assert (await run.wait()).state == "completed"
        assert run.row.kernel_id == "k1"
        assert [link.kernel_id for link in bench.kernels.links] == ["k1"]
        with pytest.raises(NotFoundError):
            await bench.keeper.submit(RunRequest(input={"prompt": "x"}, kernel_id="k2"))
        assert len(await bench.keeper.list()) == 1, "no row for what could not be run"
