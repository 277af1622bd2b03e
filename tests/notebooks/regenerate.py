"""The committed notebooks with new outputs: ``make notebooks`` runs each of them on the real model."""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import nbformat

from tests.notebooks.executing import NOTEBOOKS, code_digest, execute


def regenerate(path: Path) -> None:
    """Run a notebook, and keep what readers need of the result."""
    with tempfile.TemporaryDirectory() as scratch:
        notebook = execute(path, Path(scratch), {})
    for name in ("papermill", "widgets"):
        notebook.metadata.pop(name, None)
    notebook.metadata["mcnb"] = {"code": code_digest(notebook)}
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
    nbformat.write(notebook, path)


def main() -> None:
    """Regenerate all notebooks, or those whose names begin as the arguments say."""
    parser = argparse.ArgumentParser(prog="python -m tests.notebooks.regenerate", description=main.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="like 04 or 04-writing; all notebooks without any")
    names = tuple(parser.parse_args().names)
    for path in NOTEBOOKS:
        if not names or path.name.startswith(names):
            started = time.perf_counter()
            regenerate(path)
            print(f"{path.name}: {time.perf_counter() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main()
