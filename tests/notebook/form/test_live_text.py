"""The text that readers see grow, where several jobs write."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from mcnb.notebook.form import RunForm
from mcnb.notebook.form.live_text import LiveText
from mcnb.runtime import Event, Runtime, load
from tests.notebook.form.conftest import post
from tests.notebook.form.page import Page
from tests.support.runs import FIRST_LINE, Models


def token(job: str, text: str, item: int = 0, *, streamed: bool = False) -> Event:
    return Event(1, "token", {"job": job, "item": item, "text": text, "tokens": 1, "streamed": streamed})


def ended(job: str, state: str = "completed") -> Event:
    return Event(1, "job", {"job": job, "state": state})


def test_one_job() -> None:
    live = LiveText()
    assert not live
    assert live.take([ended("a", "processing"), token("a", "Once "), token("a", "")]) == ("Once ", False)
    assert live.take([]) == ("", False)
    assert live.take([token("a", "upon "), token("a", "a time"), ended("a")]) == ("upon a time", False)
    assert str(live) == "Once upon a time"
    assert live


def test_a_job_after_another() -> None:
    live = LiveText()
    live.take([token("a", "draft"), ended("a")])
    assert live.take([token("b", "Final "), token("b", "text")]) == ("Final text", True)
    assert live.take([token("b", ".")]) == (".", False)
    assert str(live) == "Final text."


def test_both_in_one_look() -> None:
    live = LiveText()
    assert live.take([token("a", "draft"), ended("a"), token("b", "Final")]) == ("Final", True)
    assert str(live) == "Final"


def test_the_items_of_a_repeated_job() -> None:
    live = LiveText()
    live.take([token("a", "first", 0)])
    assert live.take([token("a", "second", 1)]) == ("second", True)
    assert live.take([token("a", " more", 1)]) == (" more", False)


def test_the_items_of_a_job_whose_text_is_the_run_s_are_one_text() -> None:
    live = LiveText()
    live.take([token("a", "first ", 0, streamed=True)])
    assert live.take([token("a", "second", 1, streamed=True)]) == ("second", False)
    assert str(live) == "first second"


def test_jobs_side_by_side_do_not_take_turns_and_lose_nothing() -> None:
    live = LiveText()
    live.take([token("a", "One "), token("b", "Two "), token("a", "more")])
    assert str(live) == "One more"
    assert live.take([token("b", "and "), ended("a")]) == ("", False)
    assert str(live) == "One more", "it stays until there is something else"
    assert live.take([token("b", "three")]) == ("Two and three", True)
    assert str(live) == "Two and three"
    assert live.take([token("b", ".")]) == (".", False)


def test_a_chain_of_jobs_in_the_form(
    opened: Callable[..., RunForm], runtime: Runtime, models: Models, page: Callable[[RunForm], Page]
) -> None:
    given: dict[str, Any] = {"component": "m", "input": {"prompt": "${input.prompt}"}}
    last = {"component": "m", "depends_on": ["first"], "input": {"prompt": "${jobs.first.output}"}}
    jobs = [{"id": "first", **given}, {"id": "second", **last}]
    component = {"id": "m", "model": str(models.dice), "text": "${input.prompt as text}", "max_output_length": 8}
    compose = load(text=json.dumps({"workflow": {"jobs": jobs}, "component": component}), runtime=runtime)
    form = opened(compose)
    seen = page(form)
    post(form, "run", values={form.workflow: {"prompt": FIRST_LINE}})
    (run,) = form.runs
    seen.wait_done(run.id)
    assert seen.text == run.text
    assert seen.gaps == []
    post(form, "sync")
    assert seen.text == run.text


def test_a_further_attempt_begins_anew() -> None:
    live = LiveText()
    live.take([ended("a", "processing"), token("a", "first try")])
    assert live.take([ended("a", "waiting")]) == ("", False)
    assert live.take([ended("a", "processing"), token("a", "second")]) == ("second", True)
    assert live.take([token("a", " try")]) == (" try", False)
    assert str(live) == "second try"
