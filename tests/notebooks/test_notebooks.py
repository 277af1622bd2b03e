"""Every notebook runs from top to bottom, with other parameters than it was committed with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from tests.notebooks.regenerate import ANYWHERE

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

SMALL: dict[str, dict[str, Any]] = {
    "01-first-run": {"prompt": "The sea was", "seed": 3, "max_output_length": 12},
    "02-the-form": {"prompt": "The sea was", "seed": 3, "max_output_length": 12},
    "03-jobs": {"examples": str(ROOT / "examples" / "workflows"), "seed": 3, "max_output_length": 6},
}
TOLD = {
    "01-first-run": ["The sea was", "seed 3", "12 out", "True"],  # repeating the record gave the same output
    "02-the-form": [
        "A form: Continue a story",
        "The sea was",
        "seed 3",
        "12 out",
        "Baking bread begins with good flour",
    ],
    "03-jobs": [
        "graph TD",
        "slogan",
        "'attempt': 3",
        "context_overflow",
        "Untitled",
        "3. A hot oven",
        "True",
        "seed 3",
    ],
}
"""What stands in the outputs then."""


def parameters_of(path: Path) -> set[str]:
    return set(papermill.inspect_notebook(str(path)))


def text_of(notebook: nbformat.NotebookNode) -> str:
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            texts.append(output.get("text") or output.get("data", {}).get("text/plain") or "")
    return "\n".join(texts)


def test_there_are_notebooks() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(SMALL)


@pytest.mark.real_model
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs(path: Path, tmp_path: Path) -> None:
    small = SMALL[path.stem]
    assert set(small) <= parameters_of(path)
    notebook = papermill.execute_notebook(
        str(path), str(tmp_path / path.name), parameters=small, kernel_name="python3", progress_bar=False
    )
    text = text_of(notebook)
    assert [told for told in TOLD[path.stem] if told not in text] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_committed_with_its_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]
    assert "tokens in" in text_of(notebook)
    text = path.read_text(encoding="utf-8")
    folders = re.findall(r"&quot;folder&quot;: &quot;(.*?)&quot;", text)
    assert [folder for folder in folders if not folder.startswith(ANYWHERE)] == [], "run: make notebooks"
