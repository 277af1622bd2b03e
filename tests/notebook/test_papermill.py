"""A notebook with parameters, run without anybody looking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

CELLS = [
    new_code_cell("prompt = 'x'  # the beginning\nseed = 1", metadata={"tags": ["parameters"]}),
    new_code_cell("%load_ext mcnb"),
    new_code_cell("%compose run -i prompt=$prompt -o r --seed $seed"),
    new_code_cell("%compose run -f no.yml -i prompt=$prompt"),
]


@pytest.fixture
def notebook(folder: Path, models: Models) -> Path:
    """The notebook's file, beside its compose file."""
    (folder / "model-compose.yml").write_text(document(models.poet))
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=CELLS, metadata=kernel), folder / "in.ipynb")
    return folder / "in.ipynb"


def test_parameters_reach_the_run_and_a_failure_ends_the_notebook(notebook: Path) -> None:
    done = notebook.with_name("out.ipynb")
    given: dict[str, Any] = {"prompt": FIRST_LINE, "seed": 9}
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(str(notebook), str(done), parameters=given, progress_bar=False)
    assert (caught.value.ename, caught.value.exec_count) == ("DocumentError", 5)
    assert caught.value.evalue == "no.yml:1:1: there is no such file"
    cells = [cell for cell in nbformat.read(done, as_version=4).cells if "%compose run -i" in cell.source]
    (output,) = cells[0].outputs
    assert output.data["text/plain"].startswith(POEM)
    assert "seed 9" in output.data["text/plain"]
    assert "\r" not in output.data["text/plain"]


def test_a_run_that_fails_ends_the_notebook_with_its_name_and_sentence(notebook: Path) -> None:
    (notebook.parent / "model-compose.yml").write_text(document("./nowhere"))
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        papermill.execute_notebook(str(notebook), str(notebook.with_name("out.ipynb")), progress_bar=False)
    assert caught.value.ename == "ModelNotFoundError"
    assert caught.value.evalue.startswith("./nowhere: there is no file or folder at ")
