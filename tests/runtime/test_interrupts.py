"""A run stops before or after a job, waits for a person without limit, and goes on with the answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import InvalidInputError, RunCancelledError, RunTimeoutError
from mcnb.runtime import Compose, Record, Run, Runtime, load
from mcnb.runtime.interruption import Interruption
from tests.support.runs import FIRST_LINE, Gate, Models, job_events, states_of
from tests.support.texts import POEM

PATIENCE = 60


def pausing(runtime: Runtime, model: Any, interrupt: Any, **more: Any) -> Compose:
    """One job that asks a person."""
    job = {"id": "write", "component": "m", "input": {"prompt": "${input.prompt}"}, "interrupt": interrupt, **more}
    component = {"id": "m", "model": str(model), "text": "${input.prompt as text}"}
    return load(text=json.dumps({"workflow": {"jobs": [job]}, "component": component}), runtime=runtime)


def chain(runtime: Runtime, model: Any, **interrupts: Any) -> Compose:
    """Two jobs: the second writes a token behind what the first gives."""
    jobs = [
        {"id": "first", "component": "m", "input": {"prompt": "${input.prompt}"}},
        {"id": "second", "component": "m", "depends_on": ["first"], "input": {"prompt": "${jobs.first.output}"}},
    ]
    for job in jobs:
        if job["id"] in interrupts:
            job["interrupt"] = interrupts[str(job["id"])]
    component = {"id": "m", "model": str(model), "text": "${input.prompt as text}", "max_output_length": 1}
    return load(text=json.dumps({"workflow": {"jobs": jobs}, "component": component}), runtime=runtime)


def asked(run: Run) -> Interruption:
    """The interruption of a run that has come to one."""
    assert run.settle(PATIENCE)
    assert run.state == "interrupted", run.error
    found = run.interruption
    assert found is not None
    return found


def prompts(run: Run) -> list[str | None]:
    return [item.prompt for item in run.record.generations]


# --- before and after -------------------------------------------------------------------------------------------------


def test_after_a_job_the_states_and_the_event(runtime: Runtime, models: Models) -> None:
    about = {"message": "Is ${input.prompt} fine?", "metadata": {"of": ["${input.prompt}", 1], "is": "${output}"}}
    run = pausing(runtime, models.poet, {"after": about}).submit(prompt=FIRST_LINE)
    found = asked(run)
    message = f"Is {FIRST_LINE} fine?"
    assert found == Interruption("write", "after", message, {"of": [FIRST_LINE, 1], "is": POEM}, POEM)
    assert run.text == POEM
    assert not run.done
    assert not run.wait(0.01)
    event = run.events_after(0)[-1]
    assert event.data == {"state": "interrupted", **found.to_dict()}
    json.dumps(event.to_dict())
    assert [event.data["state"] for event in job_events(run)] == ["processing"]
    run.resume()
    assert run.interruption is None
    assert run.result(PATIENCE) == POEM
    assert states_of(run) == ["pending", "processing", "interrupted", "processing", "completed"]
    assert [event.data["state"] for event in job_events(run)] == ["processing", "completed"]


def test_an_answer_replaces_the_output_and_reaches_the_next_job(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.poet, first={"after": True}).submit(prompt=FIRST_LINE)
    found = asked(run)
    assert runtime.cache.unload() == 1, "nobody holds the model meanwhile"
    assert found.message is None
    assert found.metadata is None
    run.resume("edited")
    assert run.result(PATIENCE).startswith("edited")
    assert prompts(run) == [FIRST_LINE, "edited"]


@pytest.mark.parametrize("answer", [None, 0, False, "", [1], {"a": {"b": None}}])
def test_any_data_is_an_output(runtime: Runtime, models: Models, answer: Any) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")
    asked(run)
    run.resume(answer)
    assert run.result(PATIENCE) == answer
    assert run.record.answers[0].answer == answer
    assert not run.record.answers[0].kept


def test_before_a_job_nothing_is_loaded(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"before": {"message": "Go on?"}}).submit(prompt=FIRST_LINE)
    found = asked(run)
    assert (found.phase, found.value, found.message) == ("before", {"prompt": FIRST_LINE}, "Go on?")
    assert run.text == FIRST_LINE
    assert runtime.cache.loads == 0
    run.resume()
    assert run.result(PATIENCE) == POEM


@pytest.mark.parametrize("answer", ["b", {"prompt": "b"}])
def test_an_answer_replaces_the_input(runtime: Runtime, models: Models, answer: Any) -> None:
    run = chain(runtime, models.poet, second={"before": True}).submit(prompt="a")
    asked(run)
    assert runtime.cache.unload() == 1, "nobody holds the model meanwhile"
    run.resume(answer)
    assert run.result(PATIENCE).startswith("b")
    assert prompts(run) == ["a", "b"]


def test_the_input_of_a_job_without_one_is_the_run_s(runtime: Runtime, models: Models) -> None:
    loaded = pausing(runtime, models.poet, {"before": True}, input=None)
    run = loaded.submit(prompt=FIRST_LINE)
    assert asked(run).value == {"prompt": FIRST_LINE}
    run.resume({"prompt": "Tyger"})
    run.wait(PATIENCE)
    assert prompts(run) == ["Tyger"]
    assert run.record.input == {"prompt": FIRST_LINE}


def test_a_reader_cannot_change_the_value_behind_the_run_s_back(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"before": True}).submit(prompt="a")
    asked(run).value["prompt"] = "b"
    run.resume()
    run.wait(PATIENCE)
    assert prompts(run) == ["a"]


def test_an_answer_is_taken_as_it_is_when_it_is_given(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")
    asked(run)
    answer = {"a": (1, 2), 5: [Path("x")]}
    run.resume(answer)
    answer.clear()
    assert run.result(PATIENCE) == {"a": [1, 2], "5": ["x"]}
    assert run.record.answers[0].answer == {"a": [1, 2], "5": ["x"]}


def test_a_repeated_job_asks_once_before_and_once_after(runtime: Runtime, models: Models) -> None:
    loaded = pausing(
        runtime,
        models.poet,
        {"before": True, "after": True},
        repeat_count=2,
        input={"prompt": "${input.prompt[${index}]}"},
    )
    run = loaded.submit(prompt=["a", "b"])
    assert asked(run).value == [{"prompt": "a"}, {"prompt": "b"}]
    for wrong in ("a", [{"prompt": "a"}], [{"prompt": "a"}, 2]):
        with pytest.raises(InvalidInputError, match="the answer before job 'write' has to be a"):
            run.resume(wrong)
    run.resume([{"prompt": "c"}, "d"])
    found = asked(run)
    assert found.phase == "after"
    assert [text[0] for text in found.value] == ["c", "d"]
    assert found.text is None
    run.resume(["x"])
    assert run.result(PATIENCE) == ["x"]
    assert prompts(run) == ["c", "d"]
    assert states_of(run).count("interrupted") == 2


# --- conditions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("condition", [False, "no", "${input.ask}", "${input.ask as boolean | false}"])
def test_a_condition_that_does_not_hold(runtime: Runtime, models: Models, condition: Any) -> None:
    about = {"condition": condition}
    loaded = pausing(runtime, models.poet, {"before": about, "after": about}, output="${output}${input.ask}")
    run = loaded.submit(prompt=FIRST_LINE, input={"ask": "no"})
    assert run.result(PATIENCE).startswith(POEM)
    assert states_of(run) == ["pending", "processing", "completed"]
    assert run.record.answers == []


def test_a_condition_that_holds_may_look_at_the_output(runtime: Runtime, models: Models) -> None:
    loaded = pausing(runtime, models.poet, {"after": {"condition": "${output.ask}"}}, output={"ask": "${input.ask}"})
    assert loaded.run(prompt=FIRST_LINE, ask="no").state == "completed"
    run = loaded.submit(prompt=FIRST_LINE, ask="yes")
    assert asked(run).value == {"ask": "yes"}
    run.cancel()


def test_a_condition_that_is_neither(runtime: Runtime, models: Models) -> None:
    loaded = pausing(runtime, models.poet, {"before": {"condition": "${input.ask}"}})
    with pytest.raises(InvalidInputError) as caught:
        loaded.run(prompt="a", ask="perhaps")
    assert str(caught.value) == "job 'write': interrupt.before.condition: expected true or false, got 'perhaps'"


# --- who answers ------------------------------------------------------------------------------------------------------


def test_a_wrong_answer_leaves_the_run_waiting(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"before": True}).submit(prompt="a")
    asked(run)
    with pytest.raises(InvalidInputError) as caught:
        run.resume(5)
    assert str(caught.value) == (
        "the answer before job 'write' has to be a mapping of names to values; its input has prompt"
    )
    with pytest.raises(InvalidInputError, match="a set cannot be used"):
        run.resume({"prompt": {1}})
    assert run.state == "interrupted"
    run.resume("a")
    assert run.wait(PATIENCE)
    assert run.state == "completed"


def test_a_text_stands_for_no_mapping_of_several_texts(runtime: Runtime, models: Models) -> None:
    loaded = pausing(runtime, models.poet, {"before": True}, input={"prompt": "${input.prompt}", "note": "x", "n": 1})
    run = loaded.submit(prompt="a")
    assert asked(run).text is None
    with pytest.raises(InvalidInputError, match="its input has prompt, note, n"):
        run.resume("b")
    run.cancel()


def test_only_an_interrupted_run_is_resumed(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")
    asked(run)
    run.resume()
    run.wait(PATIENCE)
    with pytest.raises(InvalidInputError, match="the run is completed, not interrupted"):
        run.resume()
    assert states_of(run)[-1] == "completed"


def test_of_many_threads_that_answer_one_does(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")
    asked(run)
    outcomes: list[str] = []
    barrier = threading.Barrier(8)

    def answer(number: int) -> None:
        barrier.wait(PATIENCE)
        try:
            run.resume(number)
        except InvalidInputError:
            outcomes.append("refused")
        else:
            outcomes.append(str(number))

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    (winner,) = [outcome for outcome in outcomes if outcome != "refused"]
    assert run.result(PATIENCE) == int(winner)


def test_a_listener_may_answer_at_once(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.poet, first={"before": True, "after": True}, second={"before": True}).submit(prompt="a")

    def answer() -> None:
        if run.state == "interrupted":
            with contextlib.suppress(InvalidInputError):  # the first may come before there is a listener
                run.resume()

    run.listen(answer)
    answer()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "processing", *["interrupted", "processing"] * 3, "completed"]


def test_run_returns_when_nobody_else_could_answer(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).run(prompt=FIRST_LINE)
    assert run.state == "interrupted"
    run.resume("done")
    assert run.result(PATIENCE) == "done"
    assert run.settle(0)


def test_settle_gives_up(runtime: Runtime, models: Models, gate: Gate) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt=FIRST_LINE)
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    assert not run.settle(0.01)
    gate.open()
    asked(run)
    run.cancel()


def test_awaiting_goes_on_behind_the_answer(runtime: Runtime, models: Models) -> None:
    run = pausing(runtime, models.poet, {"after": True}).submit(prompt="a")

    async def answered() -> Any:
        waiting = asyncio.ensure_future(_output(run))
        await asyncio.to_thread(asked, run)
        run.resume("b")
        return await waiting

    async def _output(run: Run) -> Any:
        return await run

    assert asyncio.run(answered()) == "b"


def test_jobs_side_by_side_ask_one_after_the_other(runtime: Runtime, models: Models) -> None:
    jobs = [
        {"id": name, "component": "m", "input": {"prompt": name}, "interrupt": {"before": True}} for name in ("a", "b")
    ]
    component = {"id": "m", "model": str(models.poet), "text": "${input.prompt}", "max_output_length": 1}
    run = load(text=json.dumps({"workflow": {"jobs": jobs}, "component": component}), runtime=runtime).submit()
    assert asked(run).job == "a"
    run.resume("x")
    assert asked(run).job == "b"
    run.resume("y")
    assert [text[0] for text in run.result(PATIENCE)] == ["x", "y"]


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_cancelling_while_it_waits(runtime: Runtime, models: Models) -> None:
    run = chain(runtime, models.poet, first={"after": True}).submit(prompt="a")
    asked(run)
    run.cancel()
    assert run.wait(PATIENCE)
    assert states_of(run) == ["pending", "processing", "interrupted", "cancelling", "cancelled"]
    assert isinstance(run.error, RunCancelledError)
    assert run.interruption is None
    with pytest.raises(InvalidInputError, match="the run is cancelled"):
        run.resume()
    assert [event.data["job"] for event in job_events(run)] == ["first", "first"]


def test_closing_the_runtime_ends_what_waits(home: Any, models: Models) -> None:
    own = Runtime()
    run = pausing(own, models.poet, {"before": True}).submit(prompt="a")
    asked(run)
    own.close()
    assert run.state == "cancelled"


def test_a_job_that_fails_ends_the_run_that_waits(runtime: Runtime, models: Models, gate: Gate) -> None:
    text = f"""
workflow:
  jobs:
    - {{id: fails, component: m, input: {{prompt: a}}, output: "${{output as integer}}"}}
    - {{id: asks, component: m, input: {{prompt: b}}, interrupt: {{before: true}}}}
component: {{id: m, model: {models.poet}, text: "${{input.prompt}}"}}
"""
    run = load(text=text, runtime=runtime).submit()
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    assert asked(run).job == "asks"
    gate.open()
    assert run.wait(PATIENCE)
    assert run.error is not None
    assert "expected an integer" in run.error.message
    assert states_of(run) == ["pending", "processing", "interrupted", "failed"]
    assert {event.data["job"]: event.data["state"] for event in job_events(run)} == {
        "asks": "cancelled",
        "fails": "failed",
    }


class Clock:
    """A clock that a test moves on; the loop of a runtime goes by it."""

    def __init__(self, runtime: Runtime) -> None:
        self._ahead = 0.0
        self._loop = runtime._started_loop()
        real = self._loop.time
        self._loop.time = lambda: real() + self._ahead  # type: ignore[method-assign]

    def pass_by(self, seconds: float) -> None:
        self._ahead += seconds
        seen = threading.Event()
        self._loop.call_soon_threadsafe(lambda: self._loop.call_later(0, seen.set))
        assert seen.wait(PATIENCE)


def test_the_time_a_person_takes_does_not_count(runtime: Runtime, models: Models) -> None:
    clock = Clock(runtime)
    run = pausing(runtime, models.poet, {"before": True, "after": True}).submit(prompt=FIRST_LINE, timeout=500)
    for _ in range(2):
        asked(run)
        clock.pass_by(10_000)
        assert run.state == "interrupted"
        run.resume()
    assert run.result(PATIENCE) == POEM


def test_the_time_before_and_behind_it_does(runtime: Runtime, models: Models, gate: Gate) -> None:
    clock = Clock(runtime)
    run = chain(runtime, models.endless, second={"before": True}).submit(
        prompt=FIRST_LINE, timeout=500, parameters={"max_output_length": 400}
    )
    gate.at_token(run, 2)
    assert gate.reached.wait(PATIENCE)
    clock.pass_by(300)
    gate.open()
    asked(run)
    clock.pass_by(10_000)
    assert run.state == "interrupted"
    second = Gate()
    run.listen(lambda: second.stop_here() if _generates(run, "second") and not second.reached.is_set() else None)
    run.resume({"prompt": FIRST_LINE})
    assert second.reached.wait(PATIENCE)
    clock.pass_by(300)
    second.open()
    assert run.wait(PATIENCE)
    assert isinstance(run.error, RunTimeoutError)


def _generates(run: Run, job: str) -> bool:
    event = run.events_after(0)[-1]
    return event.type == "token" and event.data["job"] == job and threading.current_thread().name != "mcnb-runtime"


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
