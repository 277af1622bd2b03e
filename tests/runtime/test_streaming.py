"""Streamed and whole are the same bytes, from any thread and any event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import ModelNotFoundError, RunCancelledError, RunTimeoutError
from mcnb.runtime import Compose, Run, Runtime, load
from tests.support.runs import FIRST_LINE, LONG_TEXT, Gate, Models, tokens_of
from tests.support.texts import POEM, POEM_ZH

Make = Callable[..., Compose]

PATIENCE = 60


async def streamed(run: Run) -> list[str]:
    return [piece async for piece in run.stream()]


@pytest.mark.parametrize(("name", "text"), [("poet", POEM), ("chinese", POEM_ZH)])
def test_stream_gives_the_bytes_of_the_output(compose: Make, models: Models, name: str, text: str) -> None:
    prompt = text.splitlines(keepends=True)[0]
    run = compose(getattr(models, name)).submit(prompt=prompt)
    pieces = asyncio.run(streamed(run))
    assert pieces[0] == prompt
    assert len(pieces) > 20
    assert "".join(pieces).encode() == run.result().encode() == text.encode()


def test_a_stream_begun_after_the_end_gives_everything(compose: Make, models: Models) -> None:
    run = compose(models.poet).run(prompt=FIRST_LINE)
    assert "".join(asyncio.run(streamed(run))) == run.output


def test_many_readers_in_other_threads_and_loops(compose: Make, models: Models) -> None:
    run = compose(models.poet).submit(prompt=FIRST_LINE)
    found: list[str] = []
    readers = [threading.Thread(target=lambda: found.append("".join(asyncio.run(streamed(run))))) for _ in range(4)]
    readers += [
        threading.Thread(
            target=lambda: found.append("".join(e.data["text"] for e in run.events() if e.type == "token"))
        )
        for _ in range(4)
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(PATIENCE)
    assert found == [POEM] * 8


def test_several_runs_in_one_loop(compose: Make, models: Models) -> None:
    loaded = compose(models.poet)

    async def all_of_them() -> list[Any]:
        runs = [loaded.submit(prompt=FIRST_LINE) for _ in range(3)]
        return await asyncio.gather(*(streamed(run) for run in runs), *runs)

    first, second, third, *whole = asyncio.run(all_of_them())
    assert ["".join(first), "".join(second), "".join(third)] == whole == [POEM] * 3


def test_await_gives_the_output_or_raises(compose: Make, models: Models) -> None:
    async def outcome(run: Run) -> Any:
        return await run

    assert asyncio.run(outcome(compose(models.poet).submit(prompt=FIRST_LINE))) == POEM
    with pytest.raises(ModelNotFoundError):
        asyncio.run(outcome(compose("./nowhere").submit(prompt="a")))


def test_giving_up_waiting_leaves_the_run_alone(compose: Make, models: Models, gate: Gate) -> None:
    run = compose(models.poet).submit(prompt=FIRST_LINE)
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    with pytest.raises(RunTimeoutError, match="it goes on"):
        run.result(timeout=0.01)

    async def wait_a_moment() -> None:
        with pytest.raises((TimeoutError, asyncio.TimeoutError)):
            await asyncio.wait_for(run, 0.01)

    asyncio.run(wait_a_moment())

    async def read_one_and_leave() -> str:
        async for piece in run.stream():
            return piece
        return ""

    assert asyncio.run(read_one_and_leave()) == FIRST_LINE
    assert run.state == "processing"
    gate.open()
    assert run.result(timeout=PATIENCE) == POEM


def test_a_reader_whose_loop_is_gone_does_not_hurt_the_run(compose: Make, models: Models, gate: Gate) -> None:
    run = compose(models.poet).submit(prompt=FIRST_LINE)
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    loop = asyncio.new_event_loop()
    stream = run.stream()
    loop.run_until_complete(stream.__anext__())
    loop.close()
    gate.open()
    assert run.result(PATIENCE) == POEM


def test_a_stopped_stream_raises_behind_its_pieces(compose: Make, models: Models, gate: Gate) -> None:
    run = compose(models.endless).submit(prompt=FIRST_LINE)
    gate.at_token(run, 5)
    assert gate.reached.wait(PATIENCE)
    run.cancel()
    gate.open()
    pieces: list[str] = []

    async def read() -> None:
        async for piece in run.stream():
            pieces.append(piece)

    with pytest.raises(RunCancelledError):
        asyncio.run(read())
    assert "".join(pieces) == run.text
    assert LONG_TEXT.startswith(run.text)
    assert tokens_of(run) == 5


WITH_OUTPUT = """
workflow:
  jobs:
    - {{id: draft, component: writer, input: {{prompt: "${{input.prompt}}"}}}}
    - {{id: final, component: writer, depends_on: [draft], input: {{prompt: "${{input.prompt}}"}}, output: {job}}}
  output: {workflow}
component:
  id: writer
  model: {model}
  text: ${{input.prompt as text}}
  output: {action}
"""

PASSED = [
    ("null", "null", "null"),
    ("{text: '${output}'}", "null", "null"),
    ("'${output as text}'", "'${output}'", "'${result}'"),
    ("'${output}'", "{final: '${output}'}", "null"),
    ("null", "null", "'${result[]}'"),
    ("null", "null", "{said: '${result as text}'}"),
    ("'${output}'", "'${output}'", "{said: '${result}'}"),
]
MADE = [
    ("{text: '<${output}>'}", "null", "null"),
    ("null", "'again: ${output}'", "null"),
    ("null", "null", "'${result} (end)'"),
    ("'${jobs.final.output}'", "null", "null"),
    ("'${output.final}'", "{final: '${output}'}", "null"),
    ("'${output as text}'", "{final: '${output}'}", "null"),
    ("'${jobs.draft.output}'", "null", "null"),
]


@pytest.mark.parametrize(("workflow", "job", "action"), PASSED)
def test_text_that_is_passed_on_streams_and_that_of_other_jobs_does_not(
    runtime: Runtime, models: Models, workflow: str, job: str, action: str
) -> None:
    text = WITH_OUTPUT.format(model=models.poet, workflow=workflow, job=job, action=action)
    run = load(text=text, runtime=runtime).submit(prompt=FIRST_LINE)
    pieces = asyncio.run(streamed(run))
    assert len(pieces) > 20
    assert "".join(pieces) == run.text == POEM
    jobs = {event.data["job"]: event.data["streamed"] for event in run.events() if event.type == "token"}
    assert jobs == {"draft": False, "final": True}


@pytest.mark.parametrize(("workflow", "job", "action"), MADE)
def test_text_that_is_made_of_others_comes_in_one_piece(
    runtime: Runtime, models: Models, workflow: str, job: str, action: str
) -> None:
    text = WITH_OUTPUT.format(model=models.poet, workflow=workflow, job=job, action=action)
    run = load(text=text, runtime=runtime).submit(prompt=FIRST_LINE)
    assert asyncio.run(streamed(run)) == [run.text]
    assert "Tyger" in run.text


def test_an_output_that_is_no_text_streams_nothing(compose: Make, models: Models) -> None:
    loaded = compose(models.poet, text=["${input.prompt}", "${input.prompt}"])
    run = loaded.submit(prompt=FIRST_LINE)
    assert asyncio.run(streamed(run)) == []
    assert run.output == [POEM, POEM]


def test_a_prompt_that_turns_out_to_be_a_list_streams_nothing(compose: Make, models: Models) -> None:
    run = compose(models.poet, text="${input.prompts}").submit(prompts=[FIRST_LINE, FIRST_LINE])
    assert asyncio.run(streamed(run)) == []
    assert run.output == [POEM, POEM]
    assert run.text == ""


def test_the_first_of_several_sequences_is_not_the_whole(compose: Make, models: Models) -> None:
    run = compose(models.poet, num_return_sequences=2).submit(prompt=FIRST_LINE)
    assert asyncio.run(streamed(run)) == []
    assert run.output == [POEM, POEM]


def test_several_sequences_that_an_input_asks_for(compose: Make, models: Models) -> None:
    run = compose(models.poet, num_return_sequences="${input.n as integer | 1}").submit(prompt=FIRST_LINE, n=2)
    assert asyncio.run(streamed(run)) == []
    assert run.output == [POEM, POEM]


def test_without_the_prompt(compose: Make, models: Models) -> None:
    run = compose(models.poet, return_full_text=False).submit(prompt=FIRST_LINE)
    assert "".join(asyncio.run(streamed(run))) == run.output == POEM.removeprefix(FIRST_LINE)
