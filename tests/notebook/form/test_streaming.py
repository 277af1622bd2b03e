"""The text of a run on its way to the browser: only what is new, in order, and the whole of it in the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from mcnb.notebook.form import RunForm
from mcnb.notebook.form.follower import Follower
from mcnb.runtime import Runtime, load
from tests.notebook.form.conftest import Ask, Scripted, Ticks, finish, post, say
from tests.notebook.form.page import Page
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM, POEM_ZH

Opened = Callable[..., RunForm]


@pytest.fixture
def ticks(opened: Opened) -> Iterator[Ticks]:
    """A follower that looks when it is told to."""
    made = Ticks()
    yield made
    made.free()


@pytest.fixture
def form(opened: Opened, scripted: Scripted, ticks: Ticks, monkeypatch: pytest.MonkeyPatch) -> RunForm:
    """A form whose runs are played by the test."""
    monkeypatch.setattr("mcnb.notebook.form.widget.Follower", lambda: Follower(ticks.pause))
    return opened(scripted, prompt="a")


def streamed(page: Page, run: str) -> str:
    return "".join(message.get("text", "") for message in page.of_type("news") if message["run"] == run)


@pytest.mark.parametrize("name", ["poet", "chinese"])
def test_the_pieces_make_up_the_text(
    opened: Opened, runtime: Runtime, models: Models, page: Callable[[RunForm], Page], ask: Ask, name: str
) -> None:
    poem = POEM if name == "poet" else POEM_ZH
    form = opened(load(text=document(getattr(models, name)), runtime=runtime))
    seen, key = page(form), form.workflow
    ask(form, "run", values={key: {"prompt": poem.splitlines(keepends=True)[0]}})
    (run,) = form.runs
    seen.wait_done(run.id)
    assert run.text == poem
    assert seen.text == poem
    assert seen.gaps == []
    assert poem.startswith(streamed(seen, run.id))
    numbers = [message["sequence"] for message in seen.of_type("news") if "text" in message]
    assert numbers == list(range(1, len(numbers) + 1))
    texts = [update["text"] for update in seen.updates if update.get("text")]
    assert texts == [poem], "the whole is sent once"


def test_a_new_run_and_its_state_come_in_one_message(
    opened: Opened, runtime: Runtime, models: Models, page: Callable[[RunForm], Page]
) -> None:
    form = opened(load(text=document(models.poet), runtime=runtime), prompt=FIRST_LINE)
    seen = page(form)
    for _ in range(2):
        post(form, "run")
        seen.wait_done(form.runs[-1].id)
    shown: dict[str, object] = {}
    counts = set()
    for update in seen.updates:
        shown = update.get("shown", shown)
        if history := update.get("history"):
            counts.add(len(history))
            assert (shown.get("run"), shown.get("done")) == (history[0]["run"], history[0]["done"])
    assert counts == {1, 2}


def test_what_is_new_comes_at_each_look(
    form: RunForm, scripted: Scripted, ticks: Ticks, page: Callable[..., Page]
) -> None:
    seen = page(form)
    form.run()
    (run,) = scripted.made
    ticks.first()
    say(run, "Once ", "upon ")
    ticks.tick()
    assert seen.text == "Once upon "
    say(run, "a ")
    ticks.tick()
    assert seen.text == "Once upon a "
    assert seen.state["text"] == ""
    assert [m["text"] for m in seen.of_type("news") if "text" in m] == ["Once upon ", "a "]
    assert "generating" in seen.of_type("news")[-1]["line"]
    say(run, "time")
    finish(run)
    ticks.go()
    seen.wait_done(run.id)
    assert (seen.state["text"], seen.text) == ("Once upon a time",) * 2
    assert seen.state["shown"]["state"] == "completed"


def test_a_run_that_is_finished_is_never_shown_without_its_text(
    form: RunForm, scripted: Scripted, ticks: Ticks, page: Callable[..., Page]
) -> None:
    """Told from one moment: neither a done run with an empty text, nor a text twice."""
    seen = page(form)
    states: list[tuple[bool, str]] = []
    listen = seen.receive

    def receive(kind: str, data: object) -> None:
        listen(kind, data)  # type: ignore[arg-type]
        states.append((bool(seen.state["shown"].get("done")), seen.text))

    seen.receive = receive  # type: ignore[method-assign]
    form.run()
    (run,) = scripted.made
    ticks.first()
    say(run, "Once ", "upon")
    finish(run)  # before anybody has looked
    post(form, "sync")
    ticks.go()
    seen.wait_done(run.id)
    assert next(text for done, text in states if done) == "Once upon"
    assert {text for _, text in states} == {"", "Once upon"}


def test_a_second_view_gets_the_whole_and_goes_on_without_a_gap(
    form: RunForm, scripted: Scripted, ticks: Ticks, page: Callable[..., Page], ask: Ask
) -> None:
    seen = page(form)
    form.run()
    (run,) = scripted.made
    ticks.first()
    say(run, "Once ")
    ticks.tick()
    say(run, "upon ")  # not looked at yet: it must not come twice
    ask(form, "sync")
    assert seen.of_type("whole")[-1] == {"type": "whole", "run": run.id, "sequence": 1, "text": "Once "}
    ticks.tick()
    assert seen.text == "Once upon "
    assert seen.gaps == []
    finish(run)
    ticks.go()
    seen.wait_done(run.id)
    ask(form, "sync")
    assert seen.text == "Once upon "


def test_a_view_of_a_form_without_runs_gets_nothing(form: RunForm, page: Callable[..., Page], ask: Ask) -> None:
    ask(form, "sync")
    assert page(form).messages == []


def test_text_that_came_before_the_run_was_shown_comes_once(
    opened: Opened, scripted: Scripted, page: Callable[..., Page], monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = scripted.submit

    def quick(*args: object, **options: object) -> object:
        run = submit(*args, **options)  # type: ignore[arg-type]
        say(run, "Once ")
        return run

    monkeypatch.setattr(scripted, "submit", quick)
    form = opened(scripted, prompt="a")
    seen = page(form)
    form.run()
    (run,) = scripted.made
    seen.wait(lambda: seen.text)
    say(run, "upon")
    seen.wait(lambda: seen.text == "Once upon")
    finish(run)
    seen.wait_done(run.id)
    assert streamed(seen, run.id) == "Once upon"


@pytest.mark.parametrize("ending", ["cancelled", "failed"])
def test_the_text_so_far_stays(
    form: RunForm, scripted: Scripted, ticks: Ticks, page: Callable[..., Page], ending: str
) -> None:
    from mcnb.errors import RunCancelledError

    seen = page(form)
    form.run()
    (run,) = scripted.made
    ticks.first()
    say(run, "Once ")
    ticks.tick()
    say(run, "upon ")
    run._finish(ending, error=RunCancelledError("it was stopped"))  # type: ignore[arg-type]
    ticks.go()
    seen.wait_done(run.id)
    assert (seen.state["shown"]["state"], seen.text) == (ending, "Once upon ")


@pytest.mark.parametrize(
    ("output", "shown"),
    [
        ("a text", "a text"),
        ("", ""),
        ({"generated": "a text"}, "a text"),
        ({"generated": ""}, ""),
        ({"a": "é", "b": [1]}, '{\n  "a": "é",\n  "b": [\n    1\n  ]\n}'),
        ([], "[]"),
        (None, "null"),
    ],
)
def test_the_output_is_what_stays(
    form: RunForm, scripted: Scripted, ticks: Ticks, page: Callable[..., Page], output: object, shown: str
) -> None:
    form.run()
    (run,) = scripted.made
    ticks.first()
    say(run, "Once upon")
    ticks.tick()
    run._finish("completed", output=output)
    ticks.go()
    page(form).wait_done(run.id)
    assert page(form).text == shown


def bytes_per_token(form: RunForm, run_of: Scripted, ticks: Ticks, page: Page, tokens: int) -> float:
    before = page.size
    form.run()
    run = run_of.made[-1]
    ticks.first()
    for _ in range(tokens // 10):
        say(run, *["token "] * 10)
        ticks.tick()
    finish(run)
    ticks.go()
    page.wait_done(run.id)
    assert page.text == "token " * tokens
    return (page.size - before) / tokens


def test_the_bytes_for_a_token_do_not_grow_with_the_length_of_the_text(
    opened: Opened, form: RunForm, scripted: Scripted, ticks: Ticks, page: Callable[..., Page]
) -> None:
    short = bytes_per_token(form, scripted, ticks, page(form), 500)
    assert short < 60
    long = bytes_per_token(form, scripted, ticks, page(form), 2000)
    assert long < 1.1 * short


def test_a_look_costs_the_events_that_are_new(form: RunForm, scripted: Scripted, ticks: Ticks) -> None:
    """Counted in lines of Python: looking is not slower at the end of a long text."""
    form.run()
    (run,) = scripted.made
    ticks.first()

    def look() -> int:
        (item,) = form._runs.items
        say(run, *["token "] * 10)
        lines = 0

        def count(frame: object, event: str, arg: object) -> object:
            nonlocal lines
            lines += event == "line"
            return count

        sys.settrace(count)
        try:
            form._look(item)
        finally:
            sys.settrace(None)
        return lines

    first = [look() for _ in range(3)][-1]
    say(run, *["token "] * 3000)
    (item,) = form._runs.items
    form._look(item)
    assert look() < 1.5 * first
    finish(run)


def test_the_prompt_reaches_the_run(poet_form: RunForm, page: Callable[..., Page], ask: Ask) -> None:
    ask(poet_form, "run", values={poet_form.workflow: {"prompt": FIRST_LINE}}, overrides={}, mode="one")
    (run,) = poet_form.runs
    assert run.record.input == {"prompt": FIRST_LINE}
    page(poet_form).wait_done(run.id)
