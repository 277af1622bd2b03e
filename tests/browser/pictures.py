"""The README's pictures: ``python -m tests.browser.pictures`` takes them from a real JupyterLab."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tests.browser.lab import open_notebook, run_all, running_lab

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "01-first-run.ipynb"
IMAGES = ROOT / "docs" / "images"

SHOWN = """() => {
    const cells = [...document.querySelectorAll('.jp-Cell')];
    const first = cells.find(cell => cell.innerText.includes('%%compose load')).getBoundingClientRect();
    const last = cells.find(cell => cell.innerText.includes('tokens in')).getBoundingClientRect();
    return {x: first.x, y: first.y - 8, width: first.width, height: last.bottom - first.y + 16};
}"""
"""From the cell with the document to the one with the text."""


def take(name: str, *, dark: bool, width: int) -> Path:
    """Run the first notebook and take a picture of it."""
    target = IMAGES / f"{name}.png"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "notebooks"
        folder.mkdir()
        shutil.copy(NOTEBOOK, folder)
        with (
            running_lab(folder, Path(scratch), dark=dark) as lab,
            open_notebook(lab, NOTEBOOK.name, width=width, height=1800) as page,
        ):
            run_all(page)
            page.wait_for_selector(".jp-OutputArea-output:has-text('tokens in')", timeout=240_000)
            page.wait_for_timeout(2_000)
            page.screenshot(path=target, clip=page.evaluate(SHOWN))
    return target


def main() -> None:
    """Take all pictures."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, dark, width in (
        ("first-run-light", False, 1200),
        ("first-run-dark", True, 1200),
        ("first-run-narrow", False, 700),
    ):
        print(take(name, dark=dark, width=width))


if __name__ == "__main__":
    main()
