"""The README's pictures: ``python -m tests.browser.pictures`` takes them from a real JupyterLab."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.browser.forms import Form
from tests.browser.lab import open_notebook, run_all, running_lab

ROOT = Path(__file__).parents[2]
FIRST_RUN = ROOT / "notebooks" / "01-first-run.ipynb"
FORM = ROOT / "notebooks" / "02-the-form.ipynb"
IMAGES = ROOT / "docs" / "images"

SHOWN = """() => {
    const cells = [...document.querySelectorAll('.jp-Cell')];
    const first = cells.find(cell => cell.innerText.includes('%%compose load')).getBoundingClientRect();
    const last = cells.find(cell => cell.innerText.includes('tokens in')).getBoundingClientRect();
    return {x: first.x, y: first.y - 8, width: first.width, height: last.bottom - first.y + 16};
}"""
"""From the cell with the document to the one with the text."""

TOO_LONG = "much too long " * 3_000
LINES = ("The sea was", "The road led", "The letter said", "The garden had")


@contextlib.contextmanager
def opened(notebook: Path, *, dark: bool, width: int) -> Iterator[Any]:
    """Open a notebook in JupyterLab and run it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        shutil.copy(notebook, folder)
        with (
            running_lab(folder, Path(scratch), dark=dark) as lab,
            open_notebook(lab, notebook.name, width=width, height=1800) as page,
        ):
            run_all(page)
            yield page


def first_run(name: str, *, dark: bool, width: int) -> None:
    """Take a picture of the first notebook."""
    with opened(FIRST_RUN, dark=dark, width=width) as page:
        page.wait_for_selector(".jp-OutputArea-output:has-text('tokens in')")
        page.wait_for_timeout(2_000)
        keep(page, f"first-run-{name}", clip=page.evaluate(SHOWN))


def form(name: str, *, dark: bool, width: int) -> None:
    """Take pictures of the form in each of its states."""
    with opened(FORM, dark=dark, width=width) as page:
        page.wait_for_selector(".jp-OutputArea-output:has-text('tokens in')")  # the notebook's last run
        page.wait_for_selector(".jp-OutputArea-output:has-text('good flour')")
        page.evaluate("() => document.activeElement.blur()")
        shown = Form(page).wait()
        page.evaluate("() => document.querySelector('.mcnb-output').hidden = true")
        shown.root.locator(".mcnb-history").evaluate("history => history.hidden = true")
        keep(shown.root, f"form-idle-{name}")
        shown.open("Parameters")
        shown.field("max_output_length").fill("120")
        shown.root.locator("summary", has_text="Parameters").click()
        shown.field("Prompt").fill("The lighthouse keeper opened the door and")
        shown.button("Run").click()
        shown.streams("The lighthouse keeper opened the door and " * 3)
        keep(shown.root, f"form-running-{name}")
        shown.state("completed")
        shown.open("History")
        keep(shown.root, f"form-finished-{name}")
        shown.root.locator("summary", has_text="History").click()
        shown.field("Prompt").fill(TOO_LONG)
        shown.button("Run").click()
        shown.state("failed")
        shown.field("Prompt").fill("Once upon a time")
        keep(shown.root, f"form-failed-{name}")
        shown.root.locator("summary", has_text="Parameters").click()
        shown.field("max_output_length").fill("16")
        shown.root.locator("summary", has_text="Parameters").click()
        shown.tab("Batch")
        shown.root.get_by_label("Lines").fill("\n".join(LINES))
        shown.button("Run batch").click()
        shown.root.get_by_text(f"{len(LINES)} of {len(LINES)}").wait_for()
        page.wait_for_timeout(500)
        keep(shown.root, f"form-batch-{name}")


def keep(shown: Any, name: str, **options: Any) -> None:
    """Save what is shown as one of the pictures."""
    target = IMAGES / f"{name}.png"
    shown.screenshot(path=target, **options)
    print(target)


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, dark, width in (("light", False, 1200), ("dark", True, 1200), ("narrow", False, 700)):
        first_run(name, dark=dark, width=width)
        form(name, dark=dark, width=width)


if __name__ == "__main__":
    main()
