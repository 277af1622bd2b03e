"""What is checked before a run has its row, and that one key is one run."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from mcnb.errors import (
    ConflictError,
    DiskFullError,
    InvalidInputError,
    NotFoundError,
    NotSupportedError,
    QueueFullError,
)
from mcnb.server.keeper import RunRequest, handing
from tests.server.keeper.conftest import Bench, Place, holds, in_loop, saying, writer

ASK = {"prompt": "x"}


async def refused(bench: Bench, **what: Any) -> dict[str, str]:
    """Submit what is wrong; return the errors by field."""
    with pytest.raises(InvalidInputError) as raised:
        await bench.keeper.submit(RunRequest(**what))
    assert await bench.keeper.list() == [], "nothing was written"
    return {error["field"]: error["message"] for error in raised.value.errors}


@in_loop
async def test_everything_that_is_wrong_is_told_by_field(place: Place) -> None:
    place.write(writer("./nowhere"))
    async with place.server(max_output_tokens=100, max_timeout=60) as bench:
        wrong = await refused(
            bench,
            input={"prmpt": "x"},
            parameters={"temperature": -1, "colour": "red"},
            timeout=100,
            priority="now",
            metadata={"f": float("nan")},
            session_id="",
        )
        assert set(wrong) == {
            "prompt", "prmpt", "temperature", "colour", "timeout", "priority", "metadata", "session_id"
        }  # fmt: skip
        assert "did you mean 'prompt'" in wrong["prmpt"]


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ({"parameters": {"num_return_sequences": 9}}, "num_return_sequences"),
        ({"parameters": {"max_output_length": 101}}, "max_output_length"),
        ({"parameters": {"stop_sequences": ["a"] * 9}}, "stop_sequences"),
        ({"parameters": {"stop_sequences": ["a" * 129]}}, "stop_sequences"),
        ({"parameters": {"stop_sequences": "a" * 129}}, "stop_sequences"),
        ({"parameters": {"stop_sequences": ["\ud800"]}}, "stop_sequences"),
        ({"parameters": "hot"}, "parameters"),
        ({"seed": -1}, "seed"),
        ({"seed": "7"}, "seed"),
        ({"seed": True}, "seed"),
        ({"timeout": 0}, "timeout"),
        ({"timeout": -1.5}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": float("inf")}, "timeout"),
        ({"timeout": 10**400}, "timeout"),
        ({"timeout": 61}, "timeout"),
        ({"timeout": "10"}, "timeout"),
        ({"timeout": True}, "timeout"),
        ({"priority": ["api"]}, "priority"),
        ({"kernel_id": 5}, "kernel_id"),
        ({"metadata": {"a": {1, 2}}}, "metadata"),
        ({"metadata": {"a": "\ud800"}}, "metadata"),
        ({"metadata": []}, "metadata"),
        ({"session_id": "s" * 256}, "session_id"),
        ({"session_id": "\ud800"}, "session_id"),
        ({"idempotency_key": ""}, "Idempotency-Key"),
        ({"idempotency_key": "k" * 256}, "Idempotency-Key"),
        ({"input": {"prompt": "\ud800"}}, "prompt"),
        ({"input": {"prompt": [float("nan")]}}, "prompt"),
        ({"input": ["x"]}, "input"),
        ({"input": "x"}, "input"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_is_written(place: Place, what: dict[str, Any], field: str) -> None:
    @in_loop
    async def check() -> None:
        place.write(writer("./nowhere"))
        async with place.server(max_output_tokens=100, max_timeout=60) as bench:
            assert list(await refused(bench, **{"input": ASK, **what})) == [field]

    check()


@in_loop
async def test_what_stays_within_the_caps_is_taken(place: Place) -> None:
    place.write(saying())
    async with place.server(max_output_tokens=100, max_timeout=60) as bench:
        caps = {"num_return_sequences": 8, "max_output_length": 100, "stop_sequences": ["a" * 128] * 8}
        run, _ = await bench.keeper.submit(RunRequest(input=ASK, parameters=caps, timeout=60))
        assert (await run.wait()).state == "completed"
        assert run.row.request["parameters"] == caps
        assert run.row.request["max_output_tokens"] == 100
        assert bench.kernels.links[0].orders[0].max_output_tokens == 100


@in_loop
async def test_what_cannot_be_run_is_refused_before_the_row(place: Place) -> None:
    place.write(writer("./nowhere"), "a.yml")
    place.write(writer("./nowhere"), "b.yml")
    async with place.server() as bench:
        with pytest.raises(NotFoundError):
            await bench.keeper.submit(RunRequest("nothing", input=ASK))
        with pytest.raises(InvalidInputError, match="several workflows"):
            await bench.keeper.submit(RunRequest(input=ASK))
        with pytest.raises(NotFoundError, match="no such kernel"):
            await bench.keeper.submit(RunRequest("a.write", input=ASK, kernel_id="k"))
        assert await bench.keeper.list() == []


@in_loop
async def test_parts_that_are_only_validated_are_refused_before_the_row(place: Place) -> None:
    document = writer("./nowhere")
    document["component"]["quantization"] = {"type": "int8", "compute_dtype": "float32"}
    place.write(document)
    async with place.server() as bench:
        with pytest.raises(NotSupportedError, match="quantization: int8 with compute_dtype: float32"):
            await bench.keeper.submit(RunRequest(input=ASK))
        assert await bench.keeper.list() == []


@in_loop
async def test_checking_does_not_block_the_loop(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write(saying())
    async with place.server() as bench:
        at_work, go_on = threading.Event(), threading.Event()
        refresh = bench.catalog.refresh

        def slow() -> None:
            at_work.set()
            assert go_on.wait(60)
            refresh()

        monkeypatch.setattr(bench.catalog, "refresh", slow)
        submitting = asyncio.create_task(bench.keeper.submit(RunRequest(input=ASK)))
        await holds(at_work.is_set)
        assert not submitting.done(), "the loop turns while the check is at work"
        go_on.set()
        run, _ = await submitting
        assert (await run.wait()).state == "completed"


@in_loop
async def test_the_seed_is_in_the_row_before_anything_runs(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        bench.kernels.holding = True
        run, _ = await bench.keeper.submit(RunRequest(input=ASK))
        seed = (await bench.row(run)).request["seed"]
        assert isinstance(seed, int)
        bench.kernels.release()
        row = await run.wait()
        assert row.record is not None
        assert row.record["seed"] == seed


@in_loop
async def test_the_queue_has_a_bound_for_those_that_wait(place: Place) -> None:
    place.write(saying())
    async with place.server(queue_length=3, running=2) as bench:
        bench.kernels.holding = True
        asked = [bench.keeper.submit(RunRequest(input=ASK)) for _ in range(20)]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        taken = [answer[0] for answer in answers if isinstance(answer, tuple)]
        full = [answer for answer in answers if isinstance(answer, QueueFullError)]
        assert (len(taken), len(full)) == (5, 15)
        assert all(1 <= error.retry_after <= 60 for error in full)
        assert len(await bench.keeper.list()) == 5, "no row for what was refused"
        await holds(lambda: bench.keeper.ready()["running"] == 2)
        assert bench.keeper.ready()["queued"] == 3
        bench.kernels.release()
        for run in taken:
            assert (await run.wait()).state == "completed"
        assert bench.keeper.ready()["queued"] == 0


def test_when_to_come_again_follows_from_the_latest_runs(place: Place) -> None:
    @in_loop
    async def check() -> None:
        place.write(saying())
        async with place.server() as bench:
            queue = handing.Handing(bench.kernels, bench.keeper._settings)  # type: ignore[arg-type]
            assert 1 <= queue.retry_after <= 60
            for seconds, wanted in ((0.01, 1), (7.2, 4), (1_000, 60)):
                queue.took(seconds)
                assert queue.retry_after == wanted

    check()


@in_loop
async def test_one_key_is_one_run(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        asked = [bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k")) for _ in range(32)]
        answers = await asyncio.gather(*asked)
        assert len({id(run) for run, _ in answers}) == 1
        assert [created for _, created in answers].count(True) == 1
        run = answers[0][0]
        done = await run.wait()
        again, created = await bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k"))
        assert not created
        assert again.row == done
        assert len(await bench.keeper.list()) == 1
        for other in ({"input": {"prompt": "y"}}, {"input": ASK, "seed": 1}, {"input": ASK, "priority": "bulk"}):
            with pytest.raises(ConflictError, match="key"):
                await bench.keeper.submit(RunRequest(**other, idempotency_key="k"))
        asked = [bench.keeper.submit(RunRequest(input={"prompt": p}, idempotency_key="n")) for p in "ab"]
        both = await asyncio.gather(*asked, return_exceptions=True)
        assert sorted(type(answer).__name__ for answer in both) == ["ConflictError", "tuple"]
        await next(answer for answer in both if isinstance(answer, tuple))[0].wait()
    async with place.server() as bench:
        again, created = await bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k"))
        assert not created
        assert again.row == done


@in_loop
async def test_a_key_finds_its_run_whatever_has_become_of_the_queue_and_the_file(place: Place) -> None:
    path = place.write(saying())
    async with place.server(queue_length=0, running=1) as bench:
        bench.kernels.holding = True
        run, _ = await bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k"))
        with pytest.raises(QueueFullError):
            await bench.keeper.submit(RunRequest(input=ASK))
        path.unlink()
        again, created = await bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k"))
        assert again is run
        assert not created
        bench.kernels.release()
        await run.wait()


@in_loop
async def test_a_key_whose_request_was_refused_is_free(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        with pytest.raises(InvalidInputError):
            await bench.keeper.submit(RunRequest(input={}, idempotency_key="k"))
        run, created = await bench.keeper.submit(RunRequest(input=ASK, idempotency_key="k"))
        assert created
        await run.wait()


@in_loop
async def test_a_run_whose_caller_leaves_while_it_is_written_is_kept(place: Place) -> None:
    place.write(saying())
    async with place.server() as bench:
        accept, at_work, go_on = bench.store.accept, asyncio.Event(), asyncio.Event()

        async def slow(run: Any) -> Any:
            at_work.set()
            await go_on.wait()
            return await accept(run)

        bench.store.accept = slow  # type: ignore[method-assign, assignment]
        submitting = asyncio.create_task(bench.keeper.submit(RunRequest(input=ASK)))
        await at_work.wait()
        submitting.cancel()
        go_on.set()
        await holds(lambda: bool(bench.kernels.links and bench.kernels.links[0].orders))
        run = await bench.keeper.find(bench.kernels.links[0].orders[0].id)
        assert (await run.wait()).state == "completed"


@in_loop
async def test_a_full_disk_refuses_and_takes_no_place(place: Place) -> None:
    place.write(saying())
    async with place.server(queue_length=0, running=1) as bench:
        accept = bench.store.accept

        async def full(run: Any) -> Any:
            raise DiskFullError("no room")

        bench.store.accept = full  # type: ignore[method-assign, assignment]
        for _ in range(3):
            with pytest.raises(DiskFullError):
                await bench.keeper.submit(RunRequest(input=ASK))
        bench.store.accept = accept  # type: ignore[method-assign]
        run, _ = await bench.keeper.submit(RunRequest(input=ASK))
        assert (await run.wait()).state == "completed"


@in_loop
async def test_a_queued_run_keeps_the_document_it_was_accepted_with(place: Place) -> None:
    place.write(saying("old"))
    async with place.server() as bench:
        bench.kernels.starting = asyncio.Event()
        run, _ = await bench.keeper.submit(RunRequest(input=ASK))
        place.write(saying("newer"))
        following, _ = await bench.keeper.submit(RunRequest(input=ASK))
        bench.kernels.starting.set()
        assert (await run.wait()).output == "old x"
        assert (await following.wait()).output == "newer x"


@in_loop
async def test_no_token_of_a_document_is_stored(place: Place) -> None:
    document = writer("./nowhere")
    document["component"]["model"] = {"provider": "huggingface", "repository": "a/b", "token": "hf_verysecret"}
    place.write(document)
    async with place.server() as bench:
        bench.kernels.holding = True
        run, _ = await bench.keeper.submit(RunRequest(input=ASK))
        await holds(lambda: bool(bench.kernels.links))
        stored = await bench.store.document_of(run.id)
        assert "hf_verysecret" not in str(stored)
        assert "hf_verysecret" in str(bench.kernels.links[0].orders[0].document.source), "its kernel needs it"
        bench.kernels.links[0].die()
        await holds(lambda: len(bench.kernels.links) > 1 and bool(bench.kernels.links[1].runs))
        bench.kernels.links[1].die()
        assert (await run.wait()).state == "failed"
