"""What the browser asks of a form, from whatever thread: runs, their queue, their repetition, their errors."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.notebook.form import RunForm
from mcnb.notebook.form.runs import REMEMBERED
from mcnb.runtime import Runtime, load
from tests.notebook.form.conftest import Ask, Scripted, deliver, finish, post, say
from tests.notebook.form.page import PATIENCE, Page
from tests.support.runs import FIRST_LINE, Gate, Models, document, is_part_of_the_text
from tests.support.texts import POEM

Opened = Callable[..., RunForm]
PageOf = Callable[[RunForm], Page]


def holding(form: RunForm, prompt: Any = FIRST_LINE, **overrides: Any) -> dict[str, Any]:
    """What a Run button sends."""
    key = form.workflow
    return {"workflow": key, "mode": "one", "values": {key: {"prompt": prompt}}, "overrides": {key: overrides}}


def entries(page: Page) -> list[tuple[str, str]]:
    return [(entry["title"], entry["state"]) for entry in page.state["history"]]


# --- what a form shows at first ---------------------------------------------------------------------------------------


def test_a_new_form(poet_form: RunForm, page: PageOf) -> None:
    state = page(poet_form).state
    assert [item["id"] for item in state["spec"]] == [state["workflow"]]
    assert (state["shown"], state["history"], state["errors"], state["text"]) == ({}, [], {}, "")
    assert poet_form.runs == ()
    assert poet_form.results is None


def test_values_are_shown_first(opened: Opened, runtime: Runtime) -> None:
    text = document("a/model", text="${input.prompt as text} ${input.n as integer} ${input.tags as text[]}")
    form = opened(load(text=text, runtime=runtime), prompt="Hello", n=3, tags=["a", "b"])
    assert form.values == {form.workflow: {"prompt": "Hello", "n": "3", "tags": "a\nb"}}


def test_a_value_for_an_input_that_is_none(opened: Opened, runtime: Runtime) -> None:
    with pytest.raises(InvalidInputError, match="there is no input 'promt'"):
        opened(load(text=document("a/model"), runtime=runtime), promt="Hello")


def test_a_workflow_that_is_none(opened: Opened, runtime: Runtime) -> None:
    with pytest.raises(InvalidInputError, match="there is no workflow 'other'"):
        opened(load(text=document("a/model"), runtime=runtime), "other")


# --- runs -------------------------------------------------------------------------------------------------------------


def test_a_run_of_python_s(poet_form: RunForm, page: PageOf) -> None:
    poet_form.values = {poet_form.workflow: {"prompt": FIRST_LINE}}
    run = poet_form.run()
    page(poet_form).wait_done(run.id)
    assert run.output == POEM
    assert poet_form.runs == (run,)
    poet_form.values = {}
    with pytest.raises(InvalidInputError):
        poet_form.run()
    assert poet_form.errors == {"prompt": "Please fill this in."}


def test_a_finished_run(poet_form: RunForm, page: PageOf, ask: Ask) -> None:
    seen = page(poet_form)
    ask(poet_form, "run", **holding(poet_form, max_output_length="4", seed="7", seed_locked=True))
    (run,) = poet_form.runs
    seen.wait_done(run.id)
    assert (run.record.seed, run.record.parameters["max_output_length"]) == (7, 4)
    shown = seen.state["shown"]
    assert (shown["run"], shown["state"], shown["done"], shown["seed"]) == (run.id, "completed", True, 7)
    assert "4 out" in shown["line"]
    (entry,) = seen.state["history"]
    assert (entry["title"], entry["line"]) == (FIRST_LINE.strip(), shown["line"])


def test_a_long_or_empty_title(opened: Opened, scripted: Scripted, page: PageOf) -> None:
    form = opened(scripted)
    post(form, "run", **holding(form, "many words " * 20))
    post(form, "run", **holding(form, "  "))
    short, long = (title for title, _ in entries(page(form)))
    assert len(long) <= 60
    assert long.endswith("…")
    assert short == "run"
    for run in scripted.made:
        finish(run)


def test_stopping_keeps_the_text(
    opened: Opened, runtime: Runtime, models: Models, page: PageOf, ask: Ask, gate: Gate
) -> None:
    form = opened(load(text=document(models.endless), runtime=runtime))
    seen = page(form)
    ask(form, "run", **holding(form))
    (run,) = form.runs
    gate.at_token(run, 40)
    assert gate.reached.wait(PATIENCE)
    ask(form, "stop")
    gate.open()
    seen.wait_done(run.id)
    assert run.state == "cancelled"
    assert is_part_of_the_text(run)
    assert (seen.state["shown"]["state"], seen.text) == ("cancelled", run.text)
    ask(form, "stop")
    ask(form, "stop", run=run.id)
    assert form.errors == {}, "stopping what is done changes nothing"


def test_runs_wait_for_one_another_visibly(opened: Opened, scripted: Scripted, page: PageOf, ask: Ask) -> None:
    form = opened(scripted)
    seen = page(form)
    for prompt in ("first", "second", "third"):
        ask(form, "run", **holding(form, prompt))
    first, second, third = scripted.made
    say(first, "One ")
    seen.wait(lambda: seen.text == "One ")
    assert entries(seen) == [("third", "pending"), ("second", "pending"), ("first", "processing")]
    assert seen.run == first.id, "the one that is running stays"
    ask(form, "stop", run=second.id)
    second._finish("cancelled")
    seen.wait_done(second.id)
    assert seen.run == first.id
    finish(first)
    seen.wait(lambda: seen.run == third.id, "the next one that is not done is shown")
    say(third, "Three")
    seen.wait(lambda: seen.text == "Three")
    finish(third)
    seen.wait_done(third.id)
    assert entries(seen) == [("third", "completed"), ("second", "cancelled"), ("first", "completed")]
    assert seen.run == third.id
    assert seen.gaps == []


def test_the_shown_run_stays_when_somebody_chose_it(opened: Opened, scripted: Scripted, page: PageOf) -> None:
    form = opened(scripted)
    seen = page(form)
    for prompt in ("first", "second"):
        post(form, "run", **holding(form, prompt))
    first, second = scripted.made
    finish(first)
    seen.wait(lambda: seen.run == second.id)
    post(form, "select", run=first.id)
    finish(second)
    seen.wait_done(second.id)
    assert seen.run == first.id


def test_choosing_a_run_puts_its_inputs_back_and_shows_its_text(
    opened: Opened, runtime: Runtime, models: Models, page: PageOf, ask: Ask
) -> None:
    form = opened(load(text=document(models.dice), runtime=runtime))
    seen = page(form)
    for prompt, seed in (("One", "1"), ("Two", "2")):
        ask(form, "run", **holding(form, prompt, max_output_length="8", seed=seed, seed_locked=True))
        seen.wait_done(form.runs[-1].id)
    first, second = form.runs
    assert seen.text == second.text
    ask(form, "select", run=first.id)
    assert (seen.run, seen.text) == (first.id, first.text)
    assert seen.state["values"] == {form.workflow: {"prompt": "One"}}
    assert seen.state["overrides"][form.workflow] == {"max_output_length": "8", "seed": "1", "seed_locked": True}
    ask(form, "run", **holding(form, "Three", max_output_length="2"))
    seen.wait_done(form.runs[-1].id)
    assert form.runs[0].record.input == {"prompt": "One"}, "what it was started with does not change"


def test_choosing_a_run_that_is_running_shows_what_it_has(
    opened: Opened, scripted: Scripted, page: PageOf, ask: Ask
) -> None:
    form = opened(scripted)
    seen = page(form)
    ask(form, "run", **holding(form, "first"))
    ask(form, "run", **holding(form, "second"))
    first, second = scripted.made
    say(first, "One ")
    say(second, "Two ")
    seen.wait(lambda: seen.text == "One ")
    seen.wait(lambda: ("second", "processing") in entries(seen))
    ask(form, "select", run=second.id)
    assert (seen.run, seen.text) == (second.id, "Two ")
    say(second, "more")
    seen.wait(lambda: seen.text == "Two more")
    ask(form, "select", run=first.id)
    assert seen.text == "One "
    for run in (second, first):
        finish(run)
        seen.wait_done(run.id)
    assert (seen.run, seen.text) == (first.id, "One ")
    assert seen.gaps == []


def test_repeating_gives_the_same_text(
    opened: Opened, runtime: Runtime, models: Models, page: PageOf, ask: Ask
) -> None:
    form = opened(load(text=document(models.dice, params={"temperature": 1.5}), runtime=runtime))
    seen = page(form)
    ask(form, "run", **holding(form, "One", max_output_length="12"))
    (first,) = form.runs
    seen.wait_done(first.id)
    ask(form, "run", **holding(form, "Two", max_output_length="3"))
    seen.wait_done(form.runs[-1].id)
    ask(form, "repeat", run=first.id)
    again = form.runs[-1]
    seen.wait_done(again.id)
    assert again is not first
    assert (again.text, again.record.seed) == (first.text, first.record.seed)
    assert seen.run == again.id
    ask(form, "select", run=again.id)
    assert seen.state["values"] == {form.workflow: {"prompt": "One"}}


def test_only_so_many_runs_are_remembered(opened: Opened, scripted: Scripted, page: PageOf) -> None:
    form = opened(scripted)
    seen = page(form)
    for number in range(REMEMBERED + 3):
        post(form, "run", **holding(form, f"{number}"))
    oldest, newest = scripted.made[0], scripted.made[-1]
    assert len(seen.state["history"]) == REMEMBERED
    post(form, "select", run=oldest.id)
    assert form.errors == {"": "this form does not remember that run any more"}
    for run in scripted.made:
        finish(run)
    seen.wait(lambda: all(state == "completed" for _, state in entries(seen)))
    seen.wait(lambda: seen.run == newest.id)


def test_code_is_told_when_it_is_asked_for(poet_form: RunForm, page: PageOf, ask: Ask) -> None:
    seen = page(poet_form)
    ask(poet_form, "run", **holding(poet_form))
    (run,) = poet_form.runs
    ask(poet_form, "code", run=run.id)
    (message,) = seen.of_type("code")
    assert (message["run"], set(message["code"])) == (run.id, {"magic", "python", "curl", "command"})
    seen.wait_done(run.id)


def test_a_seed_by_chance_is_locked(poet_form: RunForm, page: PageOf, ask: Ask) -> None:
    poet_form.overrides = {poet_form.workflow: {"top_k": "5"}}
    ask(poet_form, "dice")
    held = page(poet_form).state["overrides"][poet_form.workflow]
    assert held["seed_locked"] is True
    assert int(held["seed"]) >= 0
    assert held["top_k"] == "5"


# --- what is wrong ----------------------------------------------------------------------------------------------------


def focused(page: Page) -> list[str]:
    return [message["field"] for message in page.of_type("focus")]


def test_errors_stand_at_their_fields(opened: Opened, runtime: Runtime, models: Models, page: PageOf, ask: Ask) -> None:
    text = document(models.poet, text="${input.prompt as text} ${input.n as integer @(range 1..5)} ${input.j as json}")
    form = opened(load(text=text, runtime=runtime))
    seen, key = page(form), form.workflow
    held = {"n": "x", "j": "{", "prompt": ""}
    ask(form, "run", values={key: held}, overrides={key: {"temperature": "9e9e9"}})
    errors = seen.state["errors"]
    assert list(errors) == ["prompt", "n", "j", "parameters.temperature"]
    assert errors["prompt"] == "Please fill this in."
    assert focused(seen) == ["prompt"]
    ask(form, "run", values={key: {"prompt": "a", "n": "9", "j": "1"}}, overrides={})
    assert list(seen.state["errors"]) == ["n"]
    assert "at most 5" in seen.state["errors"]["n"]
    assert focused(seen) == ["prompt", "n"]
    assert form.runs == ()
    ask(form, "run", values={key: {"prompt": FIRST_LINE, "n": "5", "j": "1"}}, overrides={key: {"top_k": "3"}})
    assert seen.state["errors"] == {}
    (run,) = form.runs
    seen.wait_done(run.id)


@pytest.mark.parametrize(
    ("overrides", "field"),
    [
        ({"temperature": "-1"}, "parameters.temperature"),
        ({"max_output_length": "0"}, "parameters.max_output_length"),
        ({"top_k": "1.5"}, "parameters.top_k"),
        ({"seed": "x", "seed_locked": True}, "parameters.seed"),
        ({"seed": "-1", "seed_locked": True}, "parameters.seed"),
    ],
)
def test_errors_of_parameters_stand_at_the_parameters(
    poet_form: RunForm, page: PageOf, overrides: Any, field: str
) -> None:
    seen = page(poet_form)
    post(poet_form, "run", **holding(poet_form, **overrides))
    assert list(seen.state["errors"]) == [field]
    assert focused(seen) == [field]
    assert poet_form.runs == ()


def test_an_input_and_a_parameter_of_the_same_name(opened: Opened, runtime: Runtime, page: PageOf) -> None:
    params = {"temperature": "${input.temperature as number | 0.5 @(range 0..1)}"}
    form = opened(load(text=document("a/model", params=params), runtime=runtime))
    key = form.workflow
    values = {"prompt": "a", "temperature": "7"}
    post(form, "run", values={key: values}, overrides={key: {"temperature": "0.5"}})
    assert list(form.errors) == ["temperature"]
    post(form, "run", values={key: {"prompt": "a"}}, overrides={key: {"temperature": "-7"}})
    assert list(form.errors) == ["parameters.temperature"]


def test_what_is_wrong_with_a_further_input_is_said_for_the_whole_form(
    opened: Opened, runtime: Runtime, page: PageOf
) -> None:
    form = opened(load(text=document("a/model", text="${input.prompt as text} ${input.n as integer}"), runtime=runtime))
    key = form.workflow
    post(form, "run", values={key: {"prompt": "a"}})
    assert list(form.errors) == ["n"]
    post(form, "select", run="unknown")
    assert form.errors == {"": "this form does not remember that run any more"}
    assert focused(page(form)) == ["n", ""]


def test_a_run_that_fails_says_why(opened: Opened, runtime: Runtime, page: PageOf, ask: Ask, tmp_path: Any) -> None:
    form = opened(load(text=document(tmp_path / "nothing"), runtime=runtime))
    seen = page(form)
    ask(form, "run", **holding(form))
    (run,) = form.runs
    seen.wait_done(run.id)
    assert seen.state["shown"]["state"] == "failed"
    assert str(run.error) in seen.state["shown"]["line"]
    ask(form, "repeat", run=run.id)
    seen.wait_done(form.runs[-1].id)
    assert form.runs[-1].state == "failed"


# --- what nobody should send ------------------------------------------------------------------------------------------

ODD: list[Any] = [None, 0, -1.5, True, "", "text", [], [1], {}, {"a": 1}, "x" * 10_000, [[[]]], {"run": {"run": []}}]

KINDS = [
    "run", "stop", "resume", "select", "repeat", "code", "sync", "dice", "variables", "batch", "batch-stop",
    "batch-retry", "batch-save",
]  # fmt: skip

KEYS = ["run", "answer", "workflow", "mode", "values", "overrides", "source", "value", "field", "name"]


def still_works(form: RunForm, page: Page) -> None:
    for run in form.runs:
        run.cancel()
        page.wait_done(run.id)
    form.overrides = {}
    post(form, "run", **holding(form, max_output_length="3"))
    assert form.errors == {}
    run = form.runs[-1]
    page.wait_done(run.id)
    assert run.state == "completed"


@pytest.mark.parametrize(
    "content", [*ODD, {"type": None}, {"type": []}, {"type": {}}, {"type": "no"}, {"type": 1}, {"type": "__class__"}]
)
def test_messages_of_no_known_type_change_nothing(poet_form: RunForm, page: PageOf, content: Any) -> None:
    seen = page(poet_form)
    deliver(poet_form, {"method": "custom", "content": content})
    assert (seen.messages, seen.updates) == ([], [])


@pytest.mark.parametrize("kind", KINDS)
def test_odd_contents_never_kill_a_form(poet_form: RunForm, page: PageOf, ask: Ask, kind: str) -> None:
    seen, key = page(poet_form), poet_form.workflow
    ask(poet_form, kind)
    for value in ODD:
        for name in KEYS:
            ask(poet_form, kind, **{name: value})
        ask(poet_form, kind, values={key: value}, overrides={key: value})
        ask(poet_form, kind, values={key: {"prompt": value}}, overrides={key: {"temperature": value}})
        ask(poet_form, kind, overrides={key: {"seed": value, "seed_locked": value, "do_sample": value}})
        ask(poet_form, kind, source=value, value=value, field=value)
    still_works(poet_form, seen)


@pytest.mark.parametrize("value", ODD)
@pytest.mark.parametrize("name", [
    "spec", "workflow", "mode", "values", "overrides", "errors", "shown", "text", "history", "batch", "layout", "no",
])  # fmt: skip
def test_odd_traits_never_kill_a_form(opened: Opened, scripted: Scripted, page: PageOf, name: str, value: Any) -> None:
    form = opened(scripted)
    before = {key: getattr(form, key) for key in ("spec", "workflow", "errors", "shown", "text", "history", "batch")}
    deliver(form, {"method": "update", "state": {name: value}, "buffer_paths": []})
    assert {key: getattr(form, key) for key in before} == before
    post(form, "run", **holding(form))
    assert form.errors == {}
    (run,) = scripted.made
    finish(run)
    page(form).wait_done(run.id)


def test_what_controls_hold_comes_as_a_trait_too(opened: Opened, scripted: Scripted, page: PageOf) -> None:
    form = opened(scripted)
    held = {form.workflow: {"prompt": "Hello"}}
    deliver(form, {"method": "update", "state": {"values": held, "mode": "batch"}, "buffer_paths": []})
    assert (form.values, form.mode) == (held, "batch")
    run = form.run()
    assert run.record.input == {"prompt": "Hello"}
    finish(run)
    page(form).wait_done(run.id)


# --- many at once -----------------------------------------------------------------------------------------------------


def test_many_requests_at_once(opened: Opened, runtime: Runtime, models: Models, page: PageOf) -> None:
    """Eight threads start, stop, choose and repeat runs; in the end every run is done, and the history says so."""
    form = opened(load(text=document(models.poet), runtime=runtime))
    seen = page(form)
    start = threading.Barrier(8)
    raised: list[BaseException] = []

    def work(number: int) -> None:
        chance = random.Random(number)
        try:
            start.wait(PATIENCE)
            for turn in range(12):
                known = [entry["run"] for entry in form.history]
                run = chance.choice(known) if known else ""
                kind = chance.choice(["run", "run", "stop", "select", "repeat", "sync", "dice", "code", "update"])
                if kind == "update":
                    held = {form.workflow: {"prompt": f"{number} {turn}"}}
                    deliver(form, {"method": "update", "state": {"values": held}, "buffer_paths": []})
                elif kind == "run":
                    post(form, "run", **holding(form, f"{number} {turn}", max_output_length="3"))
                else:
                    post(form, kind, run=run)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert not any(thread.is_alive() for thread in threads), "they wait for each other"
    assert not raised
    runs = form.runs
    assert len(runs) > 8
    for run in runs:
        assert run.wait(PATIENCE)
        seen.wait_done(run.id)
    assert [(entry["run"], entry["state"]) for entry in seen.state["history"]] == [
        (run.id, run.state) for run in reversed(runs)
    ]
    assert seen.state["shown"]["done"] is True
    assert seen.text == next(run.text for run in runs if run.id == seen.run)
    assert seen.gaps == []
