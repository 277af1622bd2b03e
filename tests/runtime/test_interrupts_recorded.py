"""Answers are recorded and given again; what a person may edit is shown, and typed text becomes an answer."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.runtime import Record, Runtime, load
from mcnb.runtime.interruption import Interruption
from tests.support.asking import PATIENCE, asked, chain, pausing, prompts
from tests.support.runs import FIRST_LINE, Gate, Models, states_of
from tests.support.texts import POEM

# --- records ----------------------------------------------------------------------------------------------------------


def test_a_repeated_record_answers_by_itself(runtime: Runtime, models: Models) -> None:
    about = {"before": True, "after": True}
    run = chain(runtime, models.dice, first=about, second=about).submit(prompt="a", seed=3)
    for answer in ("b", "c", None, "d"):
        asked(run)
        run.resume() if answer is None else run.resume(answer)
    assert run.result(PATIENCE) == "d"
    data = json.loads(json.dumps(run.record.to_dict()))
    assert data["answers"] == [
        {"job": "first", "phase": "before", "answer": "b", "kept": False},
        {"job": "first", "phase": "after", "answer": "c", "kept": False},
        {"job": "second", "phase": "before", "answer": None, "kept": True},
        {"job": "second", "phase": "after", "answer": "d", "kept": False},
    ]
    again = runtime.repeat(Record.from_dict(data))
    assert again.result(PATIENCE) == "d"
    assert prompts(again) == prompts(run) == ["b", "c"]
    assert "interrupted" not in states_of(again)
    assert again.record.answers == run.record.answers


def test_the_text_behind_an_answer_is_the_same_again(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.dice, first={"after": True}).submit(prompt="a", parameters={"max_output_length": 8})
    asked(run)
    run.resume("another beginning")
    text = run.result(PATIENCE)
    assert runtime.repeat(run.record).result(PATIENCE) == text


def test_what_a_record_has_no_answer_to_is_asked(runtime: Runtime, models: Models) -> None:
    loaded = pausing(runtime, models.poet, {"after": True})
    run = loaded.submit(prompt="a")
    asked(run)
    run.cancel()
    run.wait(PATIENCE)
    assert run.record.answers == []
    again = loaded.repeat(run.record)
    asked(again)
    again.cancel()


def test_a_record_of_before_there_were_answers(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": {"condition": False}}).run(prompt="a")
    data = run.record.to_dict()
    del data["answers"]
    assert Record.from_dict(data).answers == []


def test_an_answer_tells_no_environment_value(runtime: Runtime, models: Models) -> None:
    text = f"""
workflow: {{jobs: [{{id: j, component: m, input: {{prompt: "${{env.SECRET}}", n: 1}}, interrupt: {{before: true}}}}]}}
component: {{id: m, model: {models.poet}, text: "${{input.prompt}}"}}
"""
    run = load(text=text, runtime=runtime, env={"SECRET": "hunter22"}).submit()
    run.settle(PATIENCE)
    run.resume({"prompt": "say hunter22"})
    assert run.wait(PATIENCE)
    assert "hunter22" not in json.dumps(run.record.to_dict())


# --- text -------------------------------------------------------------------------------------------------------------


def test_the_text_of_a_job_that_may_be_edited_is_shown_but_does_not_stream(
    runtime: Runtime, models: Models, gate: Gate
) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt=FIRST_LINE)
    gate.at_token(run, 5)
    assert gate.reached.wait(PATIENCE)
    assert POEM.startswith(run.text)
    assert len(run.text) > len(FIRST_LINE)
    gate.open()
    asked(run)
    assert run.text == POEM
    run.resume("edited")
    run.wait(PATIENCE)

    async def streamed() -> list[str]:
        return [piece async for piece in run.stream()]

    assert asyncio.run(streamed()) == ["edited"]
    assert run.text == "edited"
    assert not any(event.data["streamed"] for event in run.events_after(0) if event.type == "token")


def test_what_comes_behind_an_answer_streams(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.poet, first={"after": True}).submit(prompt="a")
    asked(run)
    assert run.text.startswith("a")
    run.resume("b")
    run.wait(PATIENCE)

    async def streamed() -> str:
        return "".join([piece async for piece in run.stream()])

    assert asyncio.run(streamed()) == run.text == run.output
    assert {e.data["job"]: e.data["streamed"] for e in run.events_after(0) if e.type == "token"} == {
        "first": False,
        "second": True,
    }


@pytest.mark.parametrize(
    ("value", "text", "typed", "answer"),
    [
        ("a", "a", "b", "b"),
        ({"x": "a"}, "a", "b", {"x": "b"}),
        ({"x": "a", "n": 1}, "a", "b", {"x": "b", "n": 1}),
        ({"x": "a", "y": "b"}, None, '{"x": "c"}', {"x": "c"}),
        (["a", "b"], None, "[1]", [1]),
        (5, None, "6", 6),
    ],
)
def test_what_a_person_types(value: Any, text: str | None, typed: str, answer: Any) -> None:
    found = Interruption("j", "after", value=value)
    assert found.text == text
    assert found.answer_from_text(typed) == answer


def test_what_a_person_types_has_to_be_json_where_there_is_no_single_text() -> None:
    with pytest.raises(InvalidInputError, match="the answer after job 'j': the answer has to be JSON"):
        Interruption("j", "after", value=[1]).answer_from_text("x")
