"""What a cell shows of a form: the widget, words in its place, and the last result for when there is no widget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mcnb.notebook.form import RunForm
from mcnb.runtime import load
from tests.notebook.conftest import Shell
from tests.notebook.form.conftest import Scripted, finish, post, say
from tests.notebook.form.page import Page, Wire
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

Opened = Callable[..., RunForm]
PageOf = Callable[[RunForm], Page]

WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def form(shell: Shell, opened: Opened, scripted: Scripted) -> Iterator[RunForm]:
    """A form in a notebook, as ``form``."""
    made = opened(scripted, prompt="a")
    shell.ip.user_ns["form"] = made
    yield made
    for run in scripted.made:
        finish(run)


def outputs(shell: Shell) -> list[dict[str, Any]]:
    return [item["data"] for item in shell.published]


def test_the_widget_and_its_words(shell: Shell, form: RunForm) -> None:
    shell.good("form")
    widget, copy = outputs(shell)
    assert widget[WIDGET]["model_id"] == form.model_id
    assert "form" in widget["text/plain"].lower()
    assert "Workflow" in widget["text/plain"]
    assert copy == {"text/html": '<div class="mcnb-copy"></div>', "text/plain": ""}


def test_the_copy_is_brought_up_to_date_by_the_form_s_thread(
    shell: Shell, form: RunForm, scripted: Scripted, page: PageOf
) -> None:
    shell.good("form")
    for text in ("Once <b>upon</b>", "A time"):
        post(form, "run")
        run = scripted.made[-1]
        say(run, text)
        finish(run)
        page(form).wait_done(run.id)
        form._follower.close()  # the copy comes after the news
        shown = shell.published[-1]
        assert shown["update"] is True
        assert shown["transient"] == shell.published[1]["transient"]
        html = shown["data"]["text/html"]
        assert html.startswith('<div class="mcnb-copy">')
        assert text.replace("<", "&lt;").replace(">", "&gt;") in html
        assert shown["data"]["text/plain"].startswith(text)


def test_displaying_twice_shows_the_result_in_both_cells(
    shell: Shell, form: RunForm, scripted: Scripted, page: PageOf
) -> None:
    shell.good("form")
    post(form, "run")
    (run,) = scripted.made
    say(run, "Once")
    finish(run)
    page(form).wait_done(run.id)
    form._follower.close()
    shell.good("form")
    first, second = (item for item in shell.published if item["data"].get(WIDGET))
    assert first["data"][WIDGET] == second["data"][WIDGET]
    assert "Once" in shell.published[-1]["data"]["text/html"]
    assert shell.published[-1]["transient"] == shell.published[1]["transient"]


def test_a_form_that_was_never_displayed_updates_nothing(
    shell: Shell, form: RunForm, scripted: Scripted, page: PageOf
) -> None:
    post(form, "run")
    (run,) = scripted.made
    finish(run)
    page(form).wait_done(run.id)
    form._follower.close()
    assert shell.published == []


def test_a_form_that_was_closed_still_displays_its_words(shell: Shell, form: RunForm) -> None:
    form.close()
    shell.good("form")
    assert all(WIDGET not in data for data in outputs(shell))
    assert "form" in outputs(shell)[0]["text/plain"].lower()


def test_the_magic_gives_a_form(shell: Shell, wire: Wire, models: Models) -> None:
    Path("model-compose.yml").write_text(document(models.poet))
    found = shell.good(f"%compose form -i prompt={FIRST_LINE.strip()!r}")
    assert isinstance(found, RunForm)
    assert found.values == {found.workflow: {"prompt": FIRST_LINE.strip()}}
    found.close()


def test_compose_gives_a_form(wire: Wire, scripted: Scripted) -> None:
    found = scripted.form(prompt="Hello")
    assert isinstance(found, RunForm)
    assert found.values == {found.workflow: {"prompt": "Hello"}}
    found.close()


CELLS = [
    new_code_cell(
        "import mcnb\nform = mcnb.load('model-compose.yml').form(prompt='''" + FIRST_LINE.strip() + "\\n''')\nform"
    ),
    new_code_cell(
        "run = form.run()\nassert run.wait(60)\nthread = form._follower._thread\nif thread:\n    thread.join(60)"
    ),
    new_code_cell("form.close()"),
]


def test_an_unattended_notebook_keeps_a_readable_result(folder: Path, models: Models) -> None:
    (folder / "model-compose.yml").write_text(document(models.poet))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=kernel), folder / "in.ipynb")
    done = papermill.execute_notebook(str(folder / "in.ipynb"), str(folder / "out.ipynb"), progress_bar=False)
    widget, copy = done.cells[0].outputs
    assert WIDGET in widget.data
    assert "Run this notebook" in widget.data["text/plain"]
    assert copy.data["text/plain"].startswith(POEM)
    assert POEM.splitlines()[1] in copy.data["text/html"]
    assert not any(output.output_type in ("error", "stream") for cell in done.cells for output in cell.outputs)


def test_loading_the_form_is_not_needed_to_load_a_file(models: Models) -> None:
    assert load(text=document(models.poet)).document.workflows
