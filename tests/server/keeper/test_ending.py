"""A run ends once: cancelled, out of time, with its kernel, or by itself."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from mcnb.errors import ConflictError, KernelDiedError, NotFoundError, NotSupportedError
from mcnb.server.keeper import RunRequest
from mcnb.server.store import Finish
from tests.server.keeper.conftest import (
    Bench,
    Place,
    asking,
    events_of,
    holds,
    in_loop,
    is_whole,
    saying,
    states,
    writer,
)
from tests.support.runs import FIRST_LINE, LONG_TEXT, Models

ASK = {"prompt": "x"}


async def submit(bench: Bench, **what: Any) -> Any:
    run, _ = await bench.keeper.submit(RunRequest(**{"input": ASK, **what}))
    return run


async def some_text(run: Any) -> None:
    """Wait until a run has streamed more than its prompt."""
    seen = ""
    async for batch in run.events():
        seen += "".join(event["text"] for event in batch if event["type"] == "token")
        if len(seen) > len(FIRST_LINE):
            return


# --- cancelling -------------------------------------------------------------------------------------------------------


@in_loop
async def test_a_waiting_run_is_cancelled_at_once(place: Place) -> None:
    place.write(saying())
    async with place.server(running=1) as bench:
        bench.kernels.holding = True
        first, second = await submit(bench), await submit(bench)
        await holds(lambda: bench.keeper.ready()["running"] == 1)
        row = await bench.keeper.cancel(second.id)
        assert row.state == "cancelled"
        assert row == await bench.row(second)
        assert states(await events_of(second)) == ["pending", "cancelled"]
        assert bench.keeper.ready()["queued"] == 0
        with pytest.raises(ConflictError, match="cancelled"):
            await bench.keeper.cancel(second.id)
        bench.kernels.release()
        assert (await first.wait()).state == "completed"
        assert len(bench.kernels.links[0].orders) == 1, "no kernel ever had it"


@in_loop
async def test_a_run_is_cancelled_while_its_kernel_starts(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.starting = asyncio.Event()
        first, second = await submit(bench), await submit(bench)
        await holds(lambda: bench.keeper.ready()["kernel"] == "starting")
        assert (await bench.keeper.cancel(first.id)).state == "cancelled"
        bench.kernels.starting.set()
        assert (await second.wait()).state == "completed"
        assert [order.id for order in bench.kernels.links[0].orders] == [second.id]


@in_loop
async def test_a_running_run_is_cancelled_and_keeps_its_text(place: Place, models: Models) -> None:
    place.write(writer(models.endless, max_output_length=8_000))
    async with place.server() as bench:
        run = await submit(bench, input={"prompt": FIRST_LINE})
        await some_text(run)
        row = await bench.keeper.cancel(run.id)
        assert row.state in ("cancelling", "cancelled")
        again = asyncio.create_task(bench.keeper.cancel(run.id))
        row = await run.wait()
        assert row.state == "cancelled"
        assert row.error == {"code": "cancelled", "message": "the run was cancelled"}
        assert row.record is not None
        events = await events_of(run)
        assert is_whole(events)
        assert states(events) == ["pending", "processing", "cancelling", "cancelled"]
        text = "".join(event["text"] for event in events if event["type"] == "token")
        assert LONG_TEXT.startswith(text)
        assert len(text) > len(FIRST_LINE)
        await asyncio.gather(again, return_exceptions=True)


@in_loop
async def test_an_interrupted_run_is_cancelled(place: Place) -> None:
    place.write(asking())
    async with place.server() as bench:
        run = await submit(bench, input=None)
        await run.wait(or_interrupted=True)
        await bench.keeper.cancel(run.id)
        row = await run.wait()
        assert (row.state, row.interruption) == ("cancelled", None)
        assert row == await bench.row(run)


@in_loop
async def test_who_was_told_cancelling_is_not_told_completed(place: Place) -> None:
    """The run has completed in its kernel when it is cancelled; the message that says so is still on its way."""
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run = await submit(bench)
        await holds(lambda: bool(bench.kernels.links) and bool(bench.kernels.links[0].runs))
        link = bench.kernels.links[0]
        bench.kernels.mute.add(run.id)
        bench.kernels.release()
        assert await asyncio.to_thread(link.ours[run.id].wait, 60)
        assert (await bench.keeper.cancel(run.id)).state == "cancelling"
        link.say(run.id)
        row = await run.wait()
        assert (row.state, row.output) == ("cancelled", None)
        assert row.record is not None
        assert (row.record["state"], row.record["output_sha256"]) == ("cancelled", None)
        events = await events_of(run)
        assert is_whole(events)
        assert "output" not in [event["type"] for event in events]
        assert states(events) == ["pending", "cancelling", "cancelled"]


@in_loop
async def test_a_run_that_completed_first_cannot_be_cancelled(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        run = await submit(bench)
        await run.wait()
        with pytest.raises(ConflictError, match="completed"):
            await bench.keeper.cancel(run.id)
        with pytest.raises(NotFoundError):
            await bench.keeper.cancel("nothing")
        assert (await bench.row(run)).state == "completed"


# --- time -------------------------------------------------------------------------------------------------------------


@in_loop
async def test_the_time_of_a_waiting_run_passes(place: Place) -> None:
    place.write(saying())
    async with place.server(running=1) as bench:
        bench.kernels.holding = True
        first, second = await submit(bench), await submit(bench, timeout=0.05)
        row = await second.wait()
        assert row.error is not None
        assert (row.state, row.error["code"]) == ("failed", "timeout")
        assert bench.keeper.ready()["queued"] == 0
        bench.kernels.release()
        await first.wait()
        assert [order.id for order in bench.kernels.links[0].orders] == [first.id]


@in_loop
async def test_a_kernel_gets_the_time_that_is_left(place: Place) -> None:
    place.write(saying())
    now = [1_000.0]
    async with place.server(clock=lambda: now[0], max_timeout=500, default_timeout=None) as bench:
        bench.kernels.starting, bench.kernels.holding = asyncio.Event(), True
        runs = [await submit(bench, timeout=100), await submit(bench, timeout=30), await submit(bench)]
        now[0] += 40
        bench.kernels.starting.set()
        row = await runs[1].wait()
        assert row.error is not None
        assert row.error["code"] == "timeout"
        assert [order.timeout for order in bench.kernels.links[0].orders] == [60.0, 500]
        bench.kernels.release()
        for run in (runs[0], runs[2]):
            assert (await run.wait()).state == "completed"


@in_loop
async def test_only_the_kernel_watches_the_time_of_a_run_it_has(place: Place) -> None:
    """There it stands still while a person thinks."""
    place.write(asking())
    async with place.server() as bench:
        bench.kernels.starting = asyncio.Event()
        run = await submit(bench, input=None, timeout=1_000)
        assert bench.keeper._keeping._runs[run.id]._alarm is not None
        bench.kernels.starting.set()
        await run.wait(or_interrupted=True)
        assert bench.keeper._keeping._runs[run.id]._alarm is None


@in_loop
async def test_runs_that_name_no_time_limit_get_the_servers(place: Place) -> None:
    place.write(saying())
    async with place.server(default_timeout=77) as bench:
        run = await submit(bench)
        await run.wait()
        assert run.row.request["timeout"] == 77
        given = bench.kernels.links[0].orders[0].timeout
        assert given is not None
        assert 0 < given <= 77


# --- kernels that die -------------------------------------------------------------------------------------------------


@in_loop
async def test_death_keeps_what_was_streamed(place: Place, models: Models) -> None:
    place.write(writer(models.endless, max_output_length=8_000))
    async with place.server(running=1) as bench:
        run = await submit(bench, input={"prompt": FIRST_LINE})
        waiting = await submit(bench, input={"prompt": FIRST_LINE}, parameters={"max_output_length": 2})
        await some_text(run)
        bench.kernels.links[0].die(KernelDiedError("the kernel is gone", hint="it may have had too little memory"))
        row = await run.wait()
        assert row.state == "failed"
        assert row.error == {"code": "kernel_died", "message": "the kernel is gone; it may have had too little memory"}
        events = await events_of(run)
        assert is_whole(events)
        text = "".join(event["text"] for event in events if event["type"] == "token")
        assert LONG_TEXT.startswith(text)
        assert len(text) > len(FIRST_LINE)
        assert (await waiting.wait()).state == "completed", "those behind it go on in a new kernel"
        assert [link.kernel_id for link in bench.kernels.links] == ["own-1", "own-2"]


@in_loop
async def test_a_kernel_that_cannot_be_started_fails_the_runs_of_that_attempt(place: Place) -> None:
    place.write(saying())
    async with place.server(running=2) as bench:
        bench.kernels.starting = asyncio.Event()
        for _ in range(2):
            bench.kernels.fail_starts.append(KernelDiedError("there is no such kernel spec", hint="install one"))
        first = await submit(bench)
        await holds(lambda: bench.kernels.starts == 1)
        runs = [first, *[await submit(bench) for _ in range(4)]]
        bench.kernels.starting.set()
        ends = [await run.wait() for run in runs]
        states = ["failed", "failed", "failed", "completed", "completed"]
        assert [row.state for row in ends] == states, "the first one, then as many as run at a time"
        error = {"code": "kernel_died", "message": "there is no such kernel spec; install one"}
        assert [row.error for row in ends[:3]] == [error] * 3
        assert bench.kernels.starts == 3
        assert bench.keeper.ready()["kernel"] == "running"


@in_loop
async def test_whatever_a_start_fails_with_is_told(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.fail_starts.append(NotSupportedError("the kernel has no mcnb"))
        bench.kernels.fail_starts.append(ZeroDivisionError("a defect"))  # type: ignore[arg-type]
        row = await (await submit(bench)).wait()
        assert row.error == {"code": "kernel_died", "message": "the kernel has no mcnb"}
        assert bench.keeper.ready()["kernel"] == "failed"
        row = await (await submit(bench)).wait()
        assert row.error is not None
        assert "ZeroDivisionError" in row.error["message"]
        assert (await (await submit(bench)).wait()).state == "completed"


@in_loop
async def test_a_cancelled_run_whose_kernel_dies_is_cancelled(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run = await submit(bench)
        await holds(lambda: bool(bench.kernels.links) and bool(bench.kernels.links[0].runs))
        bench.kernels.mute.add(run.id)
        await bench.keeper.cancel(run.id)
        bench.kernels.links[0].die()
        assert (await run.wait()).state == "cancelled"


@in_loop
async def test_what_is_told_after_the_end_is_not_heard(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run = await submit(bench)
        await holds(lambda: bool(bench.kernels.links) and bool(bench.kernels.links[0].runs))
        append, written = bench.store.append, []

        def noted(*what: Any, **more: Any) -> Any:
            written.append(more["finish"])
            return append(*what, **more)

        monkeypatch.setattr(bench.store, "append", noted)
        _, listener = bench.kernels.links[0]._held.pop(run.id)
        listener.on_events([{"type": "state", "time": 1.0, "state": "processing"}])
        listener.on_died(KernelDiedError("gone"))
        last = {"type": "state", "time": 1.0, "state": "completed"}
        listener.on_events([{"type": "token", "time": 1.0, "text": "late"}])
        listener.on_finished([last], "completed", "output", None, None)
        listener.on_refused(KernelDiedError("late"))
        listener.on_died(KernelDiedError("again"))
        row = await run.wait()
        assert row.error == {"code": "kernel_died", "message": "gone"}
        assert states(await events_of(run)) == ["pending", "processing", "failed"]
        assert len([finish for finish in written if finish is not None]) == 1


@in_loop
async def test_a_run_that_its_kernel_never_touched_goes_on_in_the_next(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run = await submit(bench)
        await holds(lambda: bool(bench.kernels.links) and bool(bench.kernels.links[0].runs))
        bench.kernels.holding = False
        bench.kernels.links[0].die()
        assert (await run.wait()).state == "completed"
        assert states(await events_of(run)) == ["pending", "processing", "completed"]
        assert len(bench.kernels.links) == 2


@in_loop
async def test_a_run_that_two_kernels_died_of_untouched_fails(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run = await submit(bench)
        for number in range(2):
            await holds(lambda number=number: len(bench.kernels.links) > number and bench.kernels.links[number].runs)
            assert not run.done
            bench.kernels.links[number].die()
        row = await run.wait()
        assert row.error is not None
        assert (row.state, row.error["code"]) == ("failed", "kernel_died")


@in_loop
async def test_the_kernel_of_a_notebook_dies(place: Place) -> None:
    place.write(asking())
    async with place.server() as bench:
        bench.kernels.others.add("k")
        run = await submit(bench, input=None, kernel_id="k")
        await run.wait(or_interrupted=True)
        bench.kernels.links[0].die()
        row = await run.wait()
        assert row.error is not None
        assert (row.state, row.error["code"], row.interruption) == ("failed", "kernel_died", None)


@in_loop
async def test_somebody_else_has_finished_the_run(place: Place) -> None:
    place.write(asking())
    async with place.server() as bench:
        run = await submit(bench, input=None)
        await run.wait(or_interrupted=True)
        last = {"type": "state", "time": time.time(), "state": "cancelled"}
        await bench.store.append(run.id, [last], finish=Finish("cancelled"))
        await bench.keeper.resume(run.id)  # its kernel goes on, and the store says that it need not
        assert (await run.wait()).state == "cancelled"
        assert is_whole(await events_of(run))
        await holds(lambda: not len(bench.keeper._keeping))
        assert bench.keeper.ready()["running"] == 0, "its place is free"


# --- whose turn it is -------------------------------------------------------------------------------------------------


@in_loop
async def test_priorities_and_nobody_starves(place: Place) -> None:
    place.write(saying())
    async with place.server(running=1, queue_length=20) as bench:
        bench.kernels.starting = asyncio.Event()
        names: dict[str, str] = {}
        for number, priority in enumerate(["bulk"] * 3 + ["api"] * 3 + ["interactive"] * 4):
            names[(await submit(bench, priority=priority)).id] = f"{priority[0]}{number}"
        bench.kernels.starting.set()
        for run_id in list(names):
            await (await bench.keeper.find(run_id)).wait()
        order = [names[order.id] for order in bench.kernels.links[0].orders]
        assert order == ["i6", "i7", "i8", "b0", "i9", "a3", "a4", "b1", "a5", "b2"]


@in_loop
async def test_no_more_run_than_may(place: Place) -> None:
    place.write(saying())
    async with place.server(running=3, queue_length=20) as bench:
        bench.kernels.holding = True
        runs = [await submit(bench) for _ in range(10)]
        await holds(lambda: bench.keeper.ready()["running"] == 3)
        link = bench.kernels.links[0]
        assert len(link.orders) == 3
        await bench.keeper.cancel(runs[0].id)
        await runs[0].wait()
        await holds(lambda: len(link.orders) == 4)
        assert bench.keeper.ready()["running"] == 3
        bench.kernels.release()
        for run in runs[1:]:
            assert (await run.wait()).state == "completed"
