"""Runs on a server are runs: the same text, events and record as in one's own process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import InvalidInputError, RunCancelledError
from mcnb.runtime import Compose, Run
from tests.client.conftest import Connect, Serve
from tests.client.stand_in_server import Canned, Lost
from tests.support.runs import FIRST_LINE, Gate, Models, is_part_of_the_text, states_of
from tests.support.texts import POEM

MakeCompose = Callable[..., Compose]

VARIES = {"run_id", "created", "timings", "generations"}


@pytest.fixture
def dice(compose: MakeCompose, models: Models) -> Compose:
    """A document whose text depends on the seed."""
    return compose(models.dice, max_output_length=8, params={"temperature": 1.5})


def same_record(one: Run, other: Run) -> None:
    """Check that two records say the same, what depends on the hour aside."""
    first, second = one.record.to_dict(), other.record.to_dict()
    assert {k: v for k, v in first.items() if k not in VARIES} == {k: v for k, v in second.items() if k not in VARIES}
    for left, right in zip(first["generations"], second["generations"], strict=True):
        left, right = ({**item, "timings": None, "cache_hit": None} for item in (left, right))
        assert left == right


def test_the_same_text_and_record_as_here(dice: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(dice))
    dice.run(prompt="a")  # loads the model
    here = dice.run(prompt="a", seed=7)
    there = remote.run(prompt="a", seed=7)
    assert (there.state, there.output, there.text) == ("completed", here.output, here.text)
    same_record(there, here)
    assert there.record.run_id == there.id != here.id
    assert [event.type for event in there.events()] == [event.type for event in here.events()]
    assert [event.id for event in there.events()] == list(range(1, len(here.events_after(0)) + 1))
    assert there.status.stage == "completed"
    assert remote.runs == (there,)
    assert there._repr_mimebundle_()["text/plain"]


def test_events_are_those_of_the_server(dice: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(dice)
    run = connected(server).run(prompt="a")
    (kept,) = server.runs.values()
    assert [event.to_dict() for event in run.events()] == kept.events(0)


def test_streaming_and_awaiting(compose: MakeCompose, models: Models, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(compose(models.poet)))

    async def both() -> tuple[list[str], Any]:
        run = remote.submit(prompt=FIRST_LINE)
        pieces = [piece async for piece in run.stream()]
        return pieces, await run

    pieces, output = asyncio.run(both())
    assert len(pieces) > 1
    assert "".join(pieces) == output == POEM


@pytest.mark.parametrize("seed", range(20))
def test_a_stream_that_is_cut_anywhere(
    seed: int, compose: MakeCompose, models: Models, serve: Serve, connected: Connect
) -> None:
    chance = random.Random(seed)
    server = serve(compose(models.poet))
    server.cuts.extend(chance.randrange(0, 40) for _ in range(chance.randrange(1, 6)))
    cuts = len(server.cuts)
    run = connected(server).run(prompt=FIRST_LINE)
    (kept,) = server.runs.values()
    assert (run.text, run.output) == (POEM, POEM)
    assert [event.to_dict() for event in run.events()] == kept.events(0)
    assert server.streams > 1 or len(server.cuts) < cuts


def test_cancelling(compose: MakeCompose, models: Models, serve: Serve, connected: Connect, gate: Gate) -> None:
    server = serve(compose(models.endless))
    run = connected(server).submit(prompt=FIRST_LINE)
    gate.at_token(run, 30)
    assert gate.reached.wait(60)
    run.cancel()
    gate.open()
    assert run.wait(60)
    (kept,) = server.runs.values()
    assert run.state == kept.run.state == "cancelled"
    assert states_of(run)[-2:] == ["cancelling", "cancelled"]
    assert is_part_of_the_text(run)
    assert run.text == kept.run.text
    assert run.record.usage.output_tokens == kept.run.record.usage.output_tokens > 0
    with pytest.raises(RunCancelledError):
        run.result()
    run.cancel()  # once more changes nothing


def test_a_cancel_whose_connection_breaks(
    compose: MakeCompose, models: Models, serve: Serve, connected: Connect, gate: Gate
) -> None:
    server = serve(compose(models.endless))
    run = connected(server).submit(prompt=FIRST_LINE)
    gate.at_token(run, 5)
    assert gate.reached.wait(60)
    server.instead(f"POST api/workflows/runs/{run.id}/cancel", Lost(early=True), Canned(502, "<html>"), Lost())
    run.cancel()
    gate.open()
    assert run.wait(60)
    assert run.state == "cancelled"


def test_interruptions(compose: MakeCompose, models: Models, serve: Serve, connected: Connect) -> None:
    import json

    from mcnb.runtime import load

    text = json.dumps(
        {
            "component": {"model": str(models.poet), "text": "${input.prompt as text}"},
            "workflow": {"job": {"interrupt": {"after": {"message": "Is it good?"}}}},
        }
    )
    runtime = compose(models.poet).runtime
    server = serve(load(text=text, runtime=runtime))
    remote = connected(server)
    run = remote.run(prompt=FIRST_LINE)
    assert run.state == "interrupted"
    asked = run.interruption
    assert asked is not None
    assert (asked.question, asked.phase, asked.text, run.text) == ("Is it good?", "after", POEM, POEM)
    run.resume("Mine.")
    assert run.wait(60)
    assert (run.output, run.record.answers[0].answer) == ("Mine.", "Mine.")
    with pytest.raises(InvalidInputError, match="not interrupted"):
        run.resume()

    kept = remote.run(prompt=FIRST_LINE)
    kept.resume()
    assert kept.wait(60)
    assert (kept.output, kept.record.answers[0].kept) == (POEM, True)


def test_repeating(dice: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(dice))
    first = remote.run(prompt="a")
    again = remote.repeat(first.record)
    assert again.id != first.id
    assert again.output == first.output
    here = dice.run(prompt="b")
    assert remote.repeat(here.record.to_dict()).output == here.output
    record = here.record.to_dict()
    record["document"] = {**record["document"], "digest": "another"}
    with pytest.raises(InvalidInputError, match="no document like that"):
        remote.repeat(record)


def test_a_run_of_another_caller(dice: Compose, serve: Serve, connected: Connect) -> None:
    server = serve(dice)
    first = connected(server).run(prompt="a")
    found = connected(server).find(first.id)
    assert found.wait(60)
    assert (found.output, found.text) == (first.output, first.text)


def test_batches(dice: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(dice))
    rows = [chr(ord("a") + number) for number in range(9)]
    there = remote.batch(rows, seed=3)
    assert there.wait(120)
    here = dice.batch(rows, seed=3)
    assert here.wait(120)
    assert [row.output for row in there.rows] == [row.output for row in here.rows]
    assert there.failed == ()
    assert remote.runs == ()


def test_a_batch_with_a_row_that_fails(dice: Compose, serve: Serve, connected: Connect) -> None:
    remote = connected(serve(dice))
    batch = remote.batch(["a", "word " * 300, "c"])
    assert batch.wait(120)
    assert [row.state for row in batch.rows] == ["completed", "failed", "completed"]
    assert batch.rows[1].error is not None
    assert batch.rows[1].error.code == "context_overflow"
