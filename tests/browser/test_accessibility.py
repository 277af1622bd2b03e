"""The form as axe-core sees it, in JupyterLab's light and dark theme, in each of its states."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.browser.forms import Form, run, write_notebook
from tests.browser.lab import needs, open_notebook, run_all, running_lab

pytestmark = needs("axe_playwright_python", "jupyterlab")


@pytest.fixture(scope="module", params=[False, True], ids=["light", "dark"])
def page(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The notebook with two forms, all cells run."""
    scratch = tmp_path_factory.mktemp("axe")
    folder = scratch / "notebooks"
    folder.mkdir()
    write_notebook(folder / "forms.ipynb")
    with (
        running_lab(folder, scratch, dark=request.param) as lab,
        open_notebook(lab, "forms.ipynb", height=1800) as opened,
    ):
        run_all(opened)
        Form(opened, 1).wait()
        yield opened


def idle(page: Any) -> None:
    Form(page).wait()


def refused(page: Any) -> None:
    form = Form(page)
    form.button("Run").click()
    form.root.locator(".mcnb-message", has_text="Please fill this in.").wait_for()


def finished(page: Any) -> None:
    form = Form(page)
    form.open("Parameters")
    form.field("max_output_length").fill("4")
    run(form, "Once upon a time")
    form.open("History")
    form.button("Copy as code").click()
    form.root.locator(".mcnb-codes pre").wait_for()


def every_kind_of_field(page: Any) -> None:
    form = Form(page)
    form.field("Workflow").select_option("letter")
    form.root.get_by_label("Length (slider)").wait_for()


def batch(page: Any) -> None:
    form = Form(page)
    form.tab("Batch")
    form.root.get_by_label("Lines").fill("Ada\nGrace")
    form.field("Length").fill("8")
    form.button("Run batch").click()
    form.root.get_by_text("2 of 2").wait_for()


def interrupted(page: Any) -> None:
    form = Form(page, 1)
    form.field("Topic").fill("Bread")
    form.button("Run").click()
    form.state("interrupted")


@pytest.mark.parametrize("bring", [idle, refused, finished, every_kind_of_field, batch, interrupted])
def test_axe_finds_nothing_wrong(page: Any, bring: Callable[[Any], None]) -> None:
    from axe_playwright_python.sync_playwright import Axe

    bring(page)
    found = Axe().run(page, context=".mcnb-form").response
    assert len(found["passes"]) > 20, "axe has looked at the form"
    told = [f"{item['id']} ({item['impact']}): {item['nodes'][0]['html']}" for item in found["violations"]]
    assert told == []
