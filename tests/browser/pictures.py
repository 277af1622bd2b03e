"""The README's pictures, taken from a real JupyterLab and a real service: ``python -m tests.browser.pictures [NAME]``.

NAME is ``first-run``, ``form`` or ``web-page``; without one, all are taken.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcnb.models.home import models_home
from tests.browser.forms import Form, finish
from tests.browser.lab import CHROMIUM_OPTIONS, chromium, open_notebook, run_all, running_lab
from tests.service.running import running

ROOT = Path(__file__).parents[2]
FIRST_RUN = ROOT / "notebooks" / "01-first-run.ipynb"
FORM = ROOT / "notebooks" / "02-the-form.ipynb"
QUICKSTART = ROOT / "examples" / "quickstart" / "model-compose.yml"
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


def web_page(name: str, *, dark: bool, width: int) -> None:
    """Take a picture of the web page that ``mcnb up`` serves."""
    from playwright.sync_api import sync_playwright

    home = Path(tempfile.mkdtemp())
    (home / "models").symlink_to(models_home())
    with running(QUICKSTART, MCNB_HOME=str(home)) as up, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(CHROMIUM_OPTIONS))
        page = browser.new_page(
            viewport={"width": width, "height": 520}, color_scheme="dark" if dark else "light", device_scale_factor=2
        )
        page.set_default_timeout(240_000)
        page.goto(str(up.form))
        shown = Form(page).wait()
        shown.field("Prompt").fill("Once upon a time in a distant galaxy")
        finish(shown, lambda: shown.button("Run").click())
        page.wait_for_timeout(500)
        keep(page, f"web-page-{name}")
        browser.close()


def keep(shown: Any, name: str, **options: Any) -> None:
    """Save what is shown as one of the pictures."""
    target = IMAGES / f"{name}.png"
    shown.screenshot(path=target, **options)
    print(target)


PICTURES = {"first-run": first_run, "form": form, "web-page": web_page}


def main() -> None:
    """Take the pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for take in [PICTURES[name] for name in sys.argv[1:] or PICTURES]:
        for name, dark, width in (("light", False, 1200), ("dark", True, 1200), ("narrow", False, 700)):
            take(name, dark=dark, width=width)


if __name__ == "__main__":
    main()
