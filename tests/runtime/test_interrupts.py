"""A run stops before or after a job, where its condition holds, and goes on with the answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.runtime import Runtime
from mcnb.runtime.interruption import Interruption
from tests.support.asking import PATIENCE, asked, chain, pausing, prompts
from tests.support.runs import FIRST_LINE, Models, job_events, states_of
from tests.support.texts import POEM

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
