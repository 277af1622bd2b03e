"""The magic in a real JupyterLab: the picture of a workflow, a run that outlives its cell, Tab."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.browser.lab import chromium, open_notebook, run_all, running_lab
from tests.support.runs import FIRST_LINE, document
from tests.support.texts import POEM
from tests.support.tiny_models import reciter

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason="there is no Chromium on this machine"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="playwright is not installed"),
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="jupyterlab is not installed"),
]

CELLS = (
    f"%load_ext mcnb\nline = {FIRST_LINE!r}",
    "%compose graph",
    "%compose run --noblock -i prompt=$line -o r",
    "r.wait()",
    "%compose history",
    "%compose models",
    "%compose run -i st",
)
PATIENCE = 60_000


def test_pictures_runs_and_tab(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    model = reciter(tmp_path / "model", POEM * 20)
    template = "${input.prompt as text}${input.style as select/plain,loud | plain}"
    (folder / "model-compose.yml").write_text(document(model, text=template, max_output_length=600))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in CELLS[:-1]], metadata=kernel)
    nbformat.write(notebook, folder / "magic.ipynb")
    with running_lab(folder, tmp_path) as lab, open_notebook(lab, "magic.ipynb") as page:
        run_all(page)
        page.wait_for_selector(".jp-OutputArea-output:has-text('completed')", timeout=PATIENCE)
        cell = page.locator(".jp-Notebook .jp-Cell").nth(2)
        cell.locator(".jp-OutputArea-output:has-text('tokens in, 600 out')").wait_for(timeout=PATIENCE)
        assert cell.locator(".jp-OutputArea-output").count() == 1
        picture = page.locator(".jp-Notebook .jp-Cell").nth(1).locator("img, svg").first
        picture.wait_for(timeout=PATIENCE)
        assert picture.bounding_box()["width"] > 50
        assert page.locator(".jp-OutputArea-output table").count() >= 2
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:insert-cell-below')")
        page.evaluate("() => window.jupyterapp.commands.execute('notebook:enter-edit-mode')")
        page.keyboard.type(CELLS[-1])
        page.keyboard.press("Tab")
        page.locator(".jp-Completer-item:has-text('style=')").wait_for(timeout=PATIENCE)
        assert page.locator(".jp-Completer-item").count() == 1, "nothing of Python's"
        page.keyboard.press("Tab")
        page.locator(".jp-Completer-item").wait_for(state="hidden", timeout=PATIENCE)
        page.keyboard.press("Tab")
        page.locator(".jp-Completer-item:has-text('loud')").wait_for(timeout=PATIENCE)
        assert page.locator(".jp-Completer-item").count() == 2
