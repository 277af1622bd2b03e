"""A workflow of several jobs in the form: outline, edit, expand, summarise, with SmolLM2 in JupyterLab."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat

from tests.browser.forms import Form
from tests.browser.lab import needs, open_notebook, run_all, running_lab

pytestmark = needs("jupyterlab")

EXAMPLE = Path(__file__).parents[2] / "examples" / "workflows" / "outline-expand-summarise" / "model-compose.yml"
EDITED = "1. Flour and water\n2. Patience\n3. A hot oven"


def test_an_outline_is_edited_and_the_jobs_go_on_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "notebooks"
    folder.mkdir()
    cells = ["%load_ext mcnb", f"%compose form -f '{EXAMPLE}' -i topic='Baking bread'"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, folder / "article.ipynb")
    with running_lab(folder, tmp_path) as lab, open_notebook(lab, "article.ipynb", height=1600) as page:
        run_all(page)
        form = Form(page).wait()
        form.open("Parameters")
        form.field("max_output_length").fill("16")
        form.button("Run").click()
        form.streams("1.")  # the outline grows while it is written
        form.state("interrupted")
        assert form.root.get_by_text(
            "Edit the outline about Baking bread, or leave it as it is.", exact=True
        ).is_visible()
        area = form.root.locator(".mcnb-pause textarea")
        assert area.input_value().startswith("1.")
        area.fill(EDITED)
        form.button("Continue").click()
        form.state("completed")
        output = json.loads(form.text)
        assert output["outline"] == EDITED
        assert output["article"]
        assert output["summary"]
