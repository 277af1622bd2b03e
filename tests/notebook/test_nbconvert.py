"""A notebook that is run and exported without anybody looking."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter, MarkdownExporter
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat.v4 import new_code_cell, new_notebook

from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM


def executed(folder: Path, *cells: str) -> nbformat.NotebookNode:
    notebook = new_notebook(cells=[new_code_cell(cell) for cell in cells])
    ExecutePreprocessor(timeout=300, kernel_name="python3").preprocess(notebook, {"metadata": {"path": str(folder)}})
    return notebook


def test_what_is_left_of_a_run(folder: Path, models: Models) -> None:
    (folder / "model-compose.yml").write_text(document(models.poet))
    notebook = executed(
        folder,
        "%load_ext mcnb",
        f"%%compose run\n{FIRST_LINE}",
        "%compose graph",
        "%compose history",
        "%compose schema",
    )
    nbformat.validate(notebook)
    (output,) = notebook.cells[1].outputs
    assert {"text/plain", "text/html", "text/markdown"} <= output.data.keys()
    for kind in ("text/plain", "text/html", "text/markdown"):
        assert "What dread hand? and what dread feet?" in output.data[kind]
    assert output.data["text/plain"].startswith(POEM.rstrip()[:200])
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert "What dread hand? and what dread feet?" in html
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    assert "What dread hand? and what dread feet?" in text
    assert "```mermaid\ngraph TD" in notebook.cells[2].outputs[0].data["text/markdown"]
    assert "completed" in notebook.cells[3].outputs[0].data["text/plain"]
    assert notebook.cells[4].outputs[0].data["application/json"]["required"] == ["prompt"]


@pytest.mark.parametrize(
    ("cell", "name", "said"),
    [
        ("%compose run -i prompt=a -o r", "ModelNotFoundError", "./nowhere: there is no file or folder at "),
        ("%compose run -i promt=a", "InvalidInputError", "did you mean 'prompt'?"),
        ("%compose rum", "InvalidInputError", "%compose has no command 'rum'; did you mean 'run'?"),
    ],
)
def test_a_failure_ends_the_notebook_with_its_name_and_sentence(folder: Path, cell: str, name: str, said: str) -> None:
    (folder / "model-compose.yml").write_text(document("./nowhere"))
    with pytest.raises(CellExecutionError) as caught:
        executed(folder, "%load_ext mcnb", cell, "print('never')")
    assert caught.value.ename == name
    assert said in caught.value.evalue
    assert "Traceback" not in str(caught.value.traceback)
    assert "mcnb/" not in str(caught.value.traceback)
