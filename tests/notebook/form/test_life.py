"""What is left of a form when it is closed: nothing, but its runs."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from ipywidgets.widgets.widget import _instances

from mcnb.errors import InvalidInputError
from mcnb.notebook.form import RunForm
from mcnb.runtime import Runtime, load
from tests.notebook.form.conftest import Scripted, finish, in_thread, post, say
from tests.notebook.form.page import PATIENCE, Page, Wire
from tests.support.runs import FIRST_LINE, Gate, Models, document, own_threads
from tests.support.texts import POEM

Opened = Callable[..., RunForm]
PageOf = Callable[[RunForm], Page]


def form_threads() -> list[str]:
    return [thread.name for thread in own_threads() if thread.name == "mcnb-form"]


def test_a_hundred_forms_leave_nothing(wire: Wire, runtime: Runtime, models: Models) -> None:
    gc.collect()
    before = set(_instances)
    compose = load(text=document(models.poet, max_output_length=3), runtime=runtime)
    forms, gone = [], []
    for number in range(100):
        form = RunForm(compose, values={"prompt": FIRST_LINE})
        if number % 10 == 0:
            run = form.run()
            wire.pages[form.model_id].wait_done(run.id)
        forms.append(form)
        gone.append(weakref.ref(form))
    assert len(set(_instances) - before) >= 100
    assert len(wire.manager.comms) >= 100
    for form in forms:
        form.close()
    del form, run
    forms.clear()
    gc.collect()
    assert set(_instances) - before == set()
    assert wire.manager.comms == {}
    assert form_threads() == []
    assert [made for made in gone if made() is not None] == []
    assert all(page.closed for page in wire.pages.values())
    assert all(run._log._listeners == [] for run in runtime.runs)


def test_closing_while_a_run_streams(
    opened: Opened, runtime: Runtime, models: Models, page: PageOf, gate: Gate
) -> None:
    form = opened(load(text=document(models.poet), runtime=runtime), prompt=FIRST_LINE)
    seen = page(form)
    run = form.run()
    gate.at_token(run, 5)
    assert gate.reached.wait(PATIENCE)
    seen.wait(lambda: seen.text, "some text")
    form.close()
    assert form_threads() == []
    told = len(seen.messages) + len(seen.updates)
    gate.open()
    assert run.result(PATIENCE) == POEM
    assert len(seen.messages) + len(seen.updates) == told
    form.close()


def test_closing_from_another_thread(opened: Opened, scripted: Scripted) -> None:
    form = opened(scripted, prompt="a")
    form.run()
    (run,) = scripted.made
    say(run, "Once ")
    in_thread(form.close)
    assert form_threads() == []
    finish(run)
    form.close()


def test_requests_that_come_as_the_form_is_closed_are_harmless(
    opened: Opened, scripted: Scripted, page: PageOf
) -> None:
    form = opened(scripted, prompt="a")
    seen = page(form)
    comm = form.comm
    form.run()
    form.close()
    told = len(seen.messages) + len(seen.updates)
    for kind in ("run", "stop", "sync", "select", "repeat", "code", "dice"):
        content = {"type": kind, "run": scripted.made[0].id}
        if kind != "repeat":  # of a scripted run there is nothing to repeat
            comm.handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})
    assert len(seen.messages) + len(seen.updates) == told
    for run in scripted.made:
        finish(run)


def test_a_form_runs_from_python_after_it_was_closed(opened: Opened, scripted: Scripted) -> None:
    form = opened(scripted, prompt="a")
    form.close()
    run = form.run()
    finish(run)
    assert form.runs == (run,)


@pytest.mark.parametrize("wrong", [{"workflow": "other"}, {"values": {"promt": "a"}}])
def test_a_form_that_cannot_be_made_leaves_nothing(wire: Wire, scripted: Scripted, wrong: dict[str, Any]) -> None:
    gc.collect()
    before = set(_instances)
    with pytest.raises(InvalidInputError):
        RunForm(scripted, **wrong)
    gc.collect()
    assert set(_instances) == before
    assert wire.manager.comms == {}


def test_two_forms_of_one_file_are_independent(opened: Opened, scripted: Scripted, page: PageOf) -> None:
    one, other = opened(scripted, prompt="a"), opened(scripted, prompt="b")
    post(one, "run")
    (run,) = scripted.made
    say(run, "Once")
    page(one).wait(lambda: page(one).text == "Once")
    assert (other.runs, page(other).text) == ((), "")
    one.close()
    post(other, "run")
    for made in scripted.made:
        finish(made)
    page(other).wait_done(scripted.made[1].id)
