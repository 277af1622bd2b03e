"""Running a notebook without anybody looking: for the tests, and for the outputs that are committed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbconvert.preprocessors import CoalesceStreamsPreprocessor

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
ANYWHERE = "/home/you/mcnb"
"""What stands in the outputs in place of the folder on the machine that ran them."""
ANYONE = "/home/you"
"""What stands there in place of the user's home."""


def execute(path: Path, folder: Path, parameters: Mapping[str, Any]) -> nbformat.NotebookNode:
    """Run a notebook in a folder of its own, so that the files that it writes are nobody else's.

    Parameters
    ----------
    path : Path
        The notebook.
    folder : Path
        An empty folder. The notebook finds there what it finds beside it in the repository.
    parameters : mapping
        Values for its cell of parameters.

    Raises
    ------
    ValueError
        When it has no such parameter; papermill would only warn.
    PapermillExecutionError
        When a cell fails.
    """
    known = papermill.inspect_notebook(str(path))
    if unknown := sorted(set(parameters) - set(known)):
        raise ValueError(f"{path.name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}")
    work = folder / "notebooks"
    work.mkdir()
    (folder / "examples").symlink_to(ROOT / "examples")
    done = papermill.execute_notebook(
        str(path),
        str(folder / path.name),
        parameters=dict(parameters),
        kernel_name="python3",
        cwd=str(work),
        progress_bar=False,
        execution_timeout=240,
    )
    text = json.dumps(done, ensure_ascii=False)
    for place in (folder, folder.resolve(), ROOT):
        text = text.replace(str(place), ANYWHERE)
    text = text.replace(f"{Path.home()}/", f"{ANYONE}/")
    # lines that were printed one after the other are one output, as in a browser
    merged, _ = CoalesceStreamsPreprocessor().preprocess(nbformat.from_dict(json.loads(text)), {})
    return merged


def code_digest(notebook: nbformat.NotebookNode) -> str:
    """Return the SHA-256 digest of a notebook's code cells: other code, other outputs."""
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()
