"""The notebooks, with the outputs that they were committed with."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat

from tools.pages.links import into_site
from tools.pages.places import ROOT
from tools.pages.text import fence

IMAGES = {"image/png": "png", "image/jpeg": "jpg", "image/svg+xml": "svg"}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


def notebooks() -> list[Path]:
    """Return the notebooks in their order."""
    return sorted((ROOT / "notebooks").glob("*.ipynb"))


def _read(path: Path) -> Any:
    return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]


def title_of(path: Path) -> str:
    """Return a notebook's first heading."""
    for cell in _read(path).cells:
        if found := re.search(r"^# (.+)$", cell.source if cell.cell_type == "markdown" else "", re.MULTILINE):
            return found.group(1).strip()
    return path.stem


def page(path: Path) -> str:
    """Return a notebook as Markdown."""
    notebook = _read(path)
    source, target = f"notebooks/{path.name}", f"notebooks/{path.stem}.md"
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(into_site(cell.source, source, target))
        elif cell.cell_type == "code" and cell.source.strip():
            parts.append(fence("yaml" if _is_yaml(cell.source) else "python", cell.source))
            parts.extend(_outputs(cell.outputs))
    said = f"*This page is the notebook `notebooks/{path.name}`, with the outputs it was committed with.*"
    head, _, rest = "\n\n".join(parts).partition("\n")
    return f"{head}\n\n{said}\n{rest}\n"


def _is_yaml(source: str) -> bool:
    first = source.lstrip().partition("\n")[0]
    return first.startswith(("%%compose load", "%%compose validate", "%%writefile")) and not first.endswith(".py")


def _outputs(outputs: list[Any]) -> Iterator[str]:
    for output in outputs:
        if output.output_type == "stream":
            yield _text(_COLOURS.sub("", output.text))
        elif output.output_type == "error":
            yield _text(f"{output.ename}: {output.evalue}")
        else:
            yield from _data(output.data)


def _data(data: Any) -> Iterator[str]:
    image = next((kind for kind in IMAGES if kind in data), None)
    if image == "image/svg+xml":
        yield f'<div class="output">{data[image]}</div>'
    elif image is not None:
        yield f'<img class="output" alt="The cell\'s output" src="data:{image};base64,{data[image].strip()}">'
    elif "text/vnd.mermaid" in data:
        yield fence("mermaid", data["text/vnd.mermaid"])
    elif "text/html" in data:
        yield f'<div class="output">\n{data["text/html"].strip()}\n</div>'
    elif "text/markdown" in data:
        yield f'<div class="output" markdown>\n\n{data["text/markdown"]}\n\n</div>'
    elif "text/plain" in data:
        yield _text(data["text/plain"])


def _text(text: str) -> str:
    return f'<div class="output" markdown>\n\n{fence("text", text)}\n</div>'
