"""The first notebook in a real JupyterLab, with a real kernel and the real model."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.browser.lab import needs, open_notebook, run_all, running_lab

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "01-first-run.ipynb"

pytestmark = needs("jupyterlab")

OUTPUTS = ".jp-OutputArea-output"


def test_the_text_streams_into_the_cell_and_ends_with_its_figures(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copy(NOTEBOOK, folder)
    with running_lab(folder, tmp_path) as lab, open_notebook(lab, NOTEBOOK.name) as page:
        page.evaluate("() => window.jupyterapp.commands.execute('editmenu:clear-all')")
        page.evaluate(
            """() => {
                window.seen = [];
                new MutationObserver(() => {
                    for (const output of document.querySelectorAll('.jp-OutputArea-output'))
                        if (output.innerText.startsWith('Once upon a time'))
                            { const text = output.innerText; if (!window.seen.includes(text)) window.seen.push(text); }
                }).observe(document.body, {subtree: true, childList: true, characterData: true});
            }"""
        )
        run_all(page)
        page.wait_for_selector(f"{OUTPUTS}:has-text('tokens in')", timeout=240_000)
        seen = page.evaluate("() => window.seen")
        shown = page.locator(f"{OUTPUTS}:has-text('tokens in')").first.inner_text()
        errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count()
    assert errors == 0
    assert shown.startswith("Once upon a time")
    assert "seed 7" in shown
    growing = [text.rpartition("generating")[0] for text in seen if "tokens in" not in text and "generating" in text]
    assert len(growing) >= 5
    assert [len(text) for text in growing] == sorted(len(text) for text in growing)
