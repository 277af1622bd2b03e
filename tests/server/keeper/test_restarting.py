"""Servers that end and start again: what waits goes on, what ran is closed, nothing is lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mcnb.compose import Environment
from mcnb.errors import ServerStoppingError
from mcnb.server.keeper import RunRequest
from mcnb.server.keeper import recovery as recovery_of_runs
from mcnb.server.keeper.retention import INTERVAL
from tests.server.in_process_kernels import InProcessKernels
from tests.server.keeper.conftest import Bench, Place, asking, events_of, holds, in_loop, is_whole, saying, states

ASK = {"prompt": "x"}


async def submit(bench: Bench, **what: Any) -> Any:
    run, _ = await bench.keeper.submit(RunRequest(**{"input": ASK, **what}))
    return run


def hold(kernels: InProcessKernels) -> None:
    kernels.holding = True


@in_loop
async def test_what_waited_goes_on_in_order_and_what_ran_is_closed(place: Place) -> None:
    place.write(saying("old"))
    async with place.server(crash=True, running=1, prepare=hold) as bench:
        runs = [await submit(bench, idempotency_key=f"k{number}") for number in range(4)]
        await holds(lambda: bool(bench.kernels.links) and bool(bench.kernels.links[0].runs))
        bench.kernels.links[0]._held[runs[0].id][1].on_events([{"type": "state", "time": 1.0, "state": "processing"}])
        await runs[0].until(lambda row: row.state == "processing")
        await bench.keeper.cancel(runs[3].id)
    place.write(saying("edited"))
    async with place.server(running=1) as bench:
        again = [await bench.keeper.find(run.id) for run in runs]
        ends = [await run.wait() for run in again]
        assert [row.state for row in ends] == ["failed", "completed", "completed", "cancelled"]
        assert ends[0].error is not None
        assert ends[0].error["code"] == "server_restarted"
        assert [row.output for row in ends[1:3]] == ["old x", "old x"], "with the documents they were accepted with"
        assert [order.id for order in bench.kernels.links[0].orders] == [runs[1].id, runs[2].id]
        seeds = [order.seed for order in bench.kernels.links[0].orders]
        assert seeds == [row.request["seed"] for row in ends[1:3]]
        for run in again:
            assert is_whole(await events_of(run))
        same, created = await bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k1"))
        assert (same.id, created) == (runs[1].id, False)


@pytest.mark.parametrize("state", ["processing", "interrupted", "cancelling"])
def test_what_was_under_way_is_closed(place: Place, state: str) -> None:
    @in_loop
    async def check() -> None:
        place.write(asking())
        async with place.server(crash=True) as bench:
            run = await submit(bench, input=None)
            await run.wait(or_interrupted=True)
            if state != "interrupted":
                last = {"type": "state", "time": 1.0, "state": state}
                await bench.store.append(run.id, [last], state=state)
        async with place.server() as bench:
            row = (await bench.keeper.find(run.id)).row
            assert row.state == ("cancelled" if state == "cancelling" else "failed")
            assert row.error is not None
            assert row.error["code"] == ("cancelled" if state == "cancelling" else "server_restarted")
            assert row.interruption is None
            assert is_whole(await events_of(await bench.keeper.find(run.id)))

    check()


@in_loop
async def test_environment_values_are_those_of_now_and_are_never_stored(place: Place) -> None:
    place.write(saying("${env.GREETING} ${env.CITY | nowhere}"))
    first = Environment(overrides={"GREETING": "hello-then", "CITY": "Seoul"})
    async with place.server(crash=True, prepare=hold, environment=first) as bench:
        run = await submit(bench)
        await holds(lambda: bool(bench.kernels.links))
    assert "hello-then" not in (place.folder / "runs.db").read_bytes().decode("latin-1")
    place.write(saying("edited"))
    async with place.server(environment=Environment(overrides={"GREETING": "hello-now"})) as bench:
        assert (await (await bench.keeper.find(run.id)).wait()).output == "hello-now nowhere x"


@in_loop
async def test_a_document_that_cannot_be_loaded_any_more_fails_its_run_and_tells_no_secret(place: Place) -> None:
    document = saying()
    document["component"]["max_output_length"] = "${env.LENGTH}"
    place.write(document)
    async with place.server(crash=True, prepare=hold, environment=Environment(overrides={"LENGTH": "5"})) as bench:
        run = await submit(bench)
    place.write(saying("edited"))
    async with place.server(environment=Environment(overrides={"LENGTH": "a-secret-word"})) as bench:
        row = await (await bench.keeper.find(run.id)).wait()
        assert row.error is not None
        assert (row.state, row.error["code"]) == ("failed", "invalid_document")
        assert "a-secret-word" not in row.error["message"]
        assert "***" in row.error["message"]
        assert (await (await submit(bench)).wait()).output == "edited x"


@in_loop
async def test_a_run_for_a_kernel_that_is_gone_fails(place: Place) -> None:
    place.write(saying())

    def with_kernel(kernels: InProcessKernels) -> None:
        kernels.others, kernels.holding = {"here", "gone"}, True

    def with_one(kernels: InProcessKernels) -> None:
        kernels.others = {"here"}

    async with place.server(crash=True, prepare=with_kernel) as bench:
        stays, goes = await submit(bench, kernel_id="here"), await submit(bench, kernel_id="gone")
    async with place.server(prepare=with_one) as bench:
        assert (await (await bench.keeper.find(stays.id)).wait()).state == "completed"
        row = await (await bench.keeper.find(goes.id)).wait()
        assert row.error is not None
        assert (row.state, row.error["code"]) == ("failed", "kernel_died")


@in_loop
async def test_time_goes_on_while_no_server_runs(place: Place) -> None:
    place.write(saying())
    async with place.server(crash=True, prepare=hold, clock=lambda: 1_000.0) as bench:
        short, long = await submit(bench, timeout=10), await submit(bench, timeout=1_000)
    async with place.server(clock=lambda: 1_100.0) as bench:
        row = await (await bench.keeper.find(short.id)).wait()
        assert row.error is not None
        assert row.error["code"] == "timeout"
        assert (await (await bench.keeper.find(long.id)).wait()).state == "completed"


@in_loop
async def test_submitting_waits_until_the_keeper_has_started(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(saying())
    async with place.server(start=False) as bench:
        go_on = asyncio.Event()
        unfinished = bench.store.unfinished

        async def slow() -> Any:
            await go_on.wait()
            return await unfinished()

        monkeypatch.setattr(bench.store, "unfinished", slow)
        starting = asyncio.create_task(bench.keeper.start())
        submitting = asyncio.create_task(submit(bench))
        assert not bench.keeper.ready()["ready"]
        go_on.set()
        await starting
        assert (await (await submitting).wait()).state == "completed"
        assert len(bench.kernels.links[0].orders) == 1, "it was not taken for an old one"
        assert bench.keeper.ready()["ready"]


@in_loop
async def test_who_waits_for_a_start_that_never_comes_is_told(place: Place) -> None:
    place.write(saying())
    async with place.server(start=False) as bench:
        submitting = asyncio.create_task(submit(bench))
        await asyncio.sleep(0)
        await bench.keeper.stop()
        with pytest.raises(ServerStoppingError):
            await submitting


@in_loop
async def test_a_start_does_not_wait_for_a_full_disk_for_ever(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery_of_runs, "LAST_WORDS", 0.01)
    place.write(asking())
    async with place.server(crash=True) as bench:
        run = await submit(bench, input=None)
        await run.wait(or_interrupted=True)
    async with place.server(start=False) as bench:
        append, room = bench.store.append, asyncio.Event()

        async def full(*what: Any, **more: Any) -> Any:
            await room.wait()
            return await append(*what, **more)

        monkeypatch.setattr(bench.store, "append", full)
        await bench.keeper.start()
        assert bench.keeper.ready()["ready"]
        room.set()
        while (await bench.store.get(run.id)).state != "failed":  # noqa: ASYNC110
            await asyncio.sleep(0)


# --- stopping ---------------------------------------------------------------------------------------------------------


@in_loop
async def test_stopping_leaves_what_waits_and_ends_what_runs(place: Place) -> None:
    place.write(saying())
    async with place.server(running=1, prepare=hold) as bench:
        running, waiting = await submit(bench), await submit(bench)
        await holds(lambda: bench.keeper.ready()["running"] == 1)
        waiter = asyncio.create_task(waiting.wait())
        follower = asyncio.create_task(events_of(waiting))
        await bench.keeper.stop()
        assert bench.keeper.stopping
        assert not bench.keeper.ready()["ready"]
        with pytest.raises(ServerStoppingError):
            await submit(bench)
        with pytest.raises(ServerStoppingError):
            await bench.keeper.retry(running.id)
        row = await bench.row(running)
        assert row.error is not None
        assert (row.state, row.error["code"]) == ("failed", "server_restarted")
        assert (await waiter).state == "pending", "who waits for it is told that this server will not do it"
        assert states(await follower) == ["pending"]
        assert (await (await bench.keeper.find(waiting.id)).wait()).state == "pending"
    async with place.server() as bench:
        assert (await (await bench.keeper.find(waiting.id)).wait()).state == "completed"
        assert (await (await bench.keeper.retry(running.id)).wait()).state == "completed"


@in_loop
async def test_what_runs_has_a_while_to_end(place: Place) -> None:
    place.write(saying())
    async with place.server(running=2, prepare=hold, stop_grace=60) as bench:
        runs = [await submit(bench), await submit(bench)]
        await holds(lambda: bench.keeper.ready()["running"] == 2)
        stopping = asyncio.create_task(bench.keeper.stop())
        await holds(lambda: bench.keeper.stopping)
        bench.kernels.release()
        await stopping
        assert [(await bench.row(run)).state for run in runs] == ["completed", "completed"]


@in_loop
async def test_nobody_waits_for_a_run_that_waits_for_a_person(place: Place) -> None:
    place.write(asking())
    async with place.server(stop_grace=3_000) as bench:
        run = await submit(bench, input=None)
        await run.wait(or_interrupted=True)
        await bench.keeper.stop()
        row = await bench.row(run)
        assert row.error is not None
        assert (row.state, row.error["code"]) == ("failed", "server_restarted")


@in_loop
async def test_a_run_that_is_being_written_when_the_server_stops_is_not_lost(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        accept, at_work, go_on = bench.store.accept, asyncio.Event(), asyncio.Event()

        async def slow(run: Any) -> Any:
            at_work.set()
            await go_on.wait()
            return await accept(run)

        bench.store.accept = slow  # type: ignore[method-assign, assignment]
        submitting = asyncio.create_task(submit(bench))
        await at_work.wait()
        stopping = asyncio.create_task(bench.keeper.stop())
        await holds(lambda: bench.keeper.stopping)
        go_on.set()
        run = await submitting
        await stopping
        assert run.state in ("pending", "completed", "failed")  # what it can do in the time left, it does
    async with place.server() as bench:
        row = await (await bench.keeper.find(run.id)).wait()
        assert row.state in ("completed", "failed")
        assert is_whole(await events_of(await bench.keeper.find(run.id)))


# --- retention --------------------------------------------------------------------------------------------------------


@in_loop
async def test_old_runs_go_at_start_and_every_hour(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        for _ in range(3):
            await (await submit(bench)).wait()
    hours: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def sleep(seconds: float) -> None:
        assert seconds == INTERVAL
        passed = asyncio.Event()
        await hours.put(passed)
        await passed.wait()

    async with place.server(retention_count=2, sleep=sleep) as bench:
        hour = await hours.get()
        assert len(await bench.keeper.list()) == 2
        await (await submit(bench)).wait()
        assert len(await bench.keeper.list()) == 3
        hour.set()
        await hours.get()
        assert len(await bench.keeper.list()) == 2
