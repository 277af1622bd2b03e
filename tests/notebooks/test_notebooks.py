"""Every notebook runs from top to bottom, with other parameters than it was committed with.

``expected/NAME.yml`` says which (``parameters``), and what its outputs then tell (``told``). The parameter ``model`` is
a tiny model with random weights in one test and the notebook's own in the other, unless the file gives it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
import yaml
from bs4 import BeautifulSoup
from nbconvert import HTMLExporter

from tests.notebooks.executing import ANYWHERE, NOTEBOOKS, code_digest, execute

EXPECTED = Path(__file__).parent / "expected"

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def expected(path: Path) -> dict[str, Any]:
    found = yaml.safe_load((EXPECTED / f"{path.stem}.yml").read_text(encoding="utf-8"))
    assert set(found) == {"parameters", "told"}
    assert found["told"]
    return dict(found)


def shown(notebook: nbformat.NotebookNode) -> str:
    """The texts of the outputs on the page that nbconvert makes of a notebook, without what is folded away."""
    page, _ = HTMLExporter().from_notebook_node(notebook)
    soup = BeautifulSoup(page, "html.parser")
    for folded in soup.select("details"):
        folded.decompose()
    return " ".join(" ".join(output.get_text() for output in soup.select(".jp-OutputArea-output")).split())


def without_styles(notebook: nbformat.NotebookNode) -> str:
    """The texts of the outputs where neither HTML nor widgets are shown."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain") or "" for output in outputs]
    return " ".join(" ".join(texts).split())


def pictures(notebook: nbformat.NotebookNode) -> int:
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


def check(path: Path, folder: Path, model: dict[str, Any]) -> None:
    want = expected(path)
    notebook = execute(path, folder, {**model, **want["parameters"]})
    for text in (shown(notebook), without_styles(notebook)):
        assert [told for told in want["told"] if " ".join(str(told).split()) not in text] == [], text
    assert pictures(notebook) == pictures(nbformat.read(path, as_version=4))


def test_each_notebook_says_what_is_expected_of_it() -> None:
    assert [path.stem for path in NOTEBOOKS] == sorted(path.stem for path in EXPECTED.glob("*.yml"))
    assert [path.stem[:2] for path in NOTEBOOKS] == [f"{number:02}" for number in range(1, len(NOTEBOOKS) + 1)]


@each_notebook
def test_its_parameters_are_told(path: Path) -> None:
    parameters = papermill.inspect_notebook(str(path))
    assert {"model", *expected(path)["parameters"]} <= set(parameters)
    assert [name for name, parameter in parameters.items() if not parameter["help"]] == []


@each_notebook
def test_it_runs_on_a_tiny_model(path: Path, tmp_path: Path, tiny_model: Path, only_here: None) -> None:
    check(path, tmp_path, {"model": str(tiny_model)})


@pytest.mark.real_model
@each_notebook
def test_it_runs_on_the_real_model(path: Path, tmp_path: Path) -> None:
    if "model" in expected(path)["parameters"]:
        pytest.skip("its model is the one of the other test")
    check(path, tmp_path, {})


def test_a_parameter_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"01-first-run.ipynb has no parameter promt; it has model, prompt, "):
        execute(NOTEBOOKS[0], tmp_path, {"promt": "x"})


@each_notebook
def test_it_is_committed_with_its_outputs(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), "run: make notebooks"
    assert notebook.metadata.get("mcnb", {}).get("code") == code_digest(notebook), "run: make notebooks"
    assert not [output for cell in code for output in cell.outputs if output.output_type == "error"]


@each_notebook
def test_it_tells_nothing_of_the_machine_that_ran_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    folders = re.findall(r"&quot;folder&quot;: &quot;(.*?)&quot;", text)
    assert [folder for folder in folders if not folder.startswith(ANYWHERE)] == []
    assert re.findall(r"/tmp/|/root/", text) == []


def test_other_code_is_noticed() -> None:
    notebook = nbformat.read(NOTEBOOKS[0], as_version=4)
    before = code_digest(notebook)
    notebook.cells[0].source += "\nMore words."
    assert code_digest(notebook) == before
    next(cell for cell in notebook.cells if cell.cell_type == "code").source += "\nx = 1"
    assert code_digest(notebook) != before
