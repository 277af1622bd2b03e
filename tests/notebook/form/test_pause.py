"""Runs that wait for a person: what the form shows, and what it makes of the answer."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.notebook.form import RunForm
from mcnb.runtime import Run, Runtime, load
from tests.notebook.form.conftest import Ask, post
from tests.notebook.form.page import Page
from tests.support.runs import FIRST_LINE, Models
from tests.support.texts import POEM

Opened = Callable[..., RunForm]
PageOf = Callable[[RunForm], Page]
Asking = Callable[..., RunForm]


@pytest.fixture
def asking(opened: Opened, runtime: Runtime, models: Models) -> Asking:
    """Open a form of one job that asks a person: ``asking({"after": True})``."""

    def make(interrupt: Any, **more: Any) -> RunForm:
        job = {"id": "write", "component": "m", "input": {"prompt": "${input.prompt}"}, "interrupt": interrupt, **more}
        component = {"id": "m", "model": str(models.poet), "text": "${input.prompt as text}"}
        text = json.dumps({"workflow": {"jobs": [job]}, "component": component})
        return opened(load(text=text, runtime=runtime), prompt=FIRST_LINE)

    return make


def waiting(form: RunForm, page: Page, ask: Ask = post) -> tuple[Run, dict[str, Any]]:
    """Start a run and wait until the browser shows that it waits."""
    ask(form, "run")
    run = form.runs[-1]
    page.wait(lambda: "pause" in page.state["shown"], "the run waits")
    return run, page.state["shown"]["pause"]


def test_what_is_shown(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"after": {"message": "Is it fine?"}})
    seen = page(form)
    run, pause = waiting(form, seen, ask)
    assert pause == {"job": "write", "phase": "after", "message": "Is it fine?", "is_text": True, "value": POEM}
    assert seen.state["shown"]["state"] == "interrupted"
    assert [entry["state"] for entry in seen.state["history"]] == ["interrupted"]
    ask(form, "resume", run=run.id, answer=POEM)
    seen.wait_done(run.id)
    assert "pause" not in seen.state["shown"]
    assert seen.text == POEM


@pytest.mark.parametrize("answer", [POEM, None])
def test_what_is_left_as_it_is_is_kept(asking: Asking, page: PageOf, answer: Any) -> None:
    form = asking({"after": True})
    seen = page(form)
    run, _ = waiting(form, seen)
    post(form, "resume", run=run.id, answer=answer)
    seen.wait_done(run.id)
    assert run.output == POEM
    assert [item.kept for item in run.record.answers] == [True]


@pytest.mark.parametrize("answer", ["edited", "", "two\nlines é", '{"a": 1}', "null"])
def test_an_edited_text(asking: Asking, page: PageOf, ask: Ask, answer: str) -> None:
    form = asking({"after": True})
    seen = page(form)
    run, _ = waiting(form, seen)
    ask(form, "resume", run=run.id, answer=answer)
    seen.wait_done(run.id)
    assert run.output == answer
    assert [item.kept for item in run.record.answers] == [False]
    if answer:
        assert seen.text == answer


def test_an_edited_text_within_a_mapping_leaves_the_mapping(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"after": True}, output={"poem": "${output}", "stars": 5})
    seen = page(form)
    run, pause = waiting(form, seen)
    assert (pause["is_text"], pause["value"]) == (True, POEM)
    ask(form, "resume", run=run.id, answer="edited")
    seen.wait_done(run.id)
    assert run.output == {"poem": "edited", "stars": 5}


def test_the_input_before_a_job(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"before": True})
    seen = page(form)
    run, pause = waiting(form, seen)
    assert (pause["phase"], pause["is_text"], pause["value"]) == ("before", True, FIRST_LINE)
    ask(form, "resume", run=run.id, answer="Tyger")
    seen.wait_done(run.id)
    assert [item.prompt for item in run.record.generations] == ["Tyger"]


DATA = {"a": "${output}", "b": "${input.prompt}"}


def test_data_is_edited_as_json(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"after": True}, output=DATA)
    seen = page(form)
    run, pause = waiting(form, seen)
    assert pause["is_text"] is False
    assert json.loads(pause["value"]) == {"a": POEM, "b": FIRST_LINE}
    ask(form, "resume", run=run.id, answer='{"a": "x", "b": [1, null]}')
    seen.wait_done(run.id)
    assert run.output == {"a": "x", "b": [1, None]}
    assert json.loads(seen.text) == run.output


def test_data_that_is_left_as_it_is(asking: Asking, page: PageOf) -> None:
    form = asking({"after": True}, output=DATA)
    seen = page(form)
    run, pause = waiting(form, seen)
    post(form, "resume", run=run.id, answer=pause["value"])
    seen.wait_done(run.id)
    assert [item.kept for item in run.record.answers] == [True]


@pytest.mark.parametrize("answer", ["{", "", "edited", "[" * 100_000])
def test_an_answer_that_cannot_be_read_leaves_the_run_waiting(
    asking: Asking, page: PageOf, ask: Ask, answer: str
) -> None:
    form = asking({"after": True}, output=DATA)
    seen = page(form)
    run, pause = waiting(form, seen)
    ask(form, "resume", run=run.id, answer=answer)
    assert list(seen.state["errors"]) == ["pause.answer"]
    assert "JSON" in seen.state["errors"]["pause.answer"]
    assert [message["field"] for message in seen.of_type("focus")] == ["pause.answer"]
    assert run.state == "interrupted"
    assert seen.state["shown"]["pause"] == pause
    ask(form, "resume", run=run.id, answer="5")
    seen.wait_done(run.id)
    assert run.output == 5
    assert form.errors == {}, "what was wrong is no longer shown"


def test_an_answer_that_does_not_fit_leaves_the_run_waiting(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"before": True}, input={"prompt": "${input.prompt}", "other": "${input.prompt}"})
    seen = page(form)
    run, _ = waiting(form, seen)
    ask(form, "resume", run=run.id, answer="[1]")
    assert list(form.errors) == ["pause.answer"]
    assert run.state == "interrupted"
    ask(form, "resume", run=run.id, answer='{"prompt": "Tyger"}')
    seen.wait_done(run.id)
    assert [item.prompt for item in run.record.generations] == ["Tyger"]


def test_stopping_while_it_waits(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"after": True})
    seen = page(form)
    run, _ = waiting(form, seen)
    ask(form, "stop")
    seen.wait_done(run.id)
    assert (run.state, seen.state["shown"]["state"]) == ("cancelled", "cancelled")
    assert "pause" not in seen.state["shown"]
    ask(form, "resume", run=run.id, answer="late")
    assert form.errors == {"": "that run does not wait for an answer"}


@pytest.mark.parametrize("answer", [5, [], {"a": 1}, True])
def test_an_answer_that_no_browser_gives_keeps_the_value(asking: Asking, page: PageOf, answer: Any) -> None:
    form = asking({"after": True})
    seen = page(form)
    run, _ = waiting(form, seen)
    post(form, "resume", run=run.id, answer=answer)
    seen.wait_done(run.id)
    assert run.output == POEM


def test_twice_in_one_run(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"before": {"message": "Begin?"}, "after": {"message": "Good?"}})
    seen = page(form)
    run, pause = waiting(form, seen)
    assert pause["message"] == "Begin?"
    ask(form, "resume", run=run.id, answer=FIRST_LINE)
    seen.wait(lambda: seen.state["shown"].get("pause", {}).get("message") == "Good?", "it waits again")
    ask(form, "resume", run=run.id, answer="edited")
    seen.wait_done(run.id)
    assert run.output == "edited"


def test_a_repeated_run_answers_by_itself(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"after": True})
    seen = page(form)
    run, _ = waiting(form, seen)
    ask(form, "resume", run=run.id, answer="edited")
    seen.wait_done(run.id)
    ask(form, "repeat", run=run.id)
    again = form.runs[-1]
    seen.wait_done(again.id)
    assert again.output == "edited"


def test_a_page_that_is_reloaded_while_it_waits(asking: Asking, page: PageOf, ask: Ask) -> None:
    form = asking({"after": True})
    seen = page(form)
    run, pause = waiting(form, seen)
    ask(form, "sync")
    assert seen.of_type("whole")[-1]["run"] == run.id
    assert form.shown["pause"] == pause
    ask(form, "resume", run=run.id)
    seen.wait_done(run.id)
    assert seen.text == POEM
    assert seen.gaps == []
