"""The committed notebooks with new outputs: ``make notebooks`` runs each of them on the real model."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import nbformat
import papermill

ROOT = Path(__file__).parents[2]
ANYWHERE = "/home/you/mcnb"
"""What stands in the outputs in place of the folder on the machine that ran them."""


def regenerate(path: Path) -> None:
    """Run a notebook where it stands, and keep what readers need of the result."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / path.name
        papermill.execute_notebook(
            str(path), str(target), kernel_name="python3", cwd=str(path.parent), progress_bar=False
        )
        notebook = nbformat.read(target, as_version=4)
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    text = json.dumps(notebook, ensure_ascii=False).replace(str(ROOT), ANYWHERE)
    nbformat.write(nbformat.from_dict(json.loads(text)), path)


def main() -> None:
    """Regenerate all notebooks."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        print(path.name, flush=True)
        regenerate(path)


if __name__ == "__main__":
    main()
