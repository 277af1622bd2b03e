"""Documents for services."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mcnb.compose import Document, load_document

COMPONENT = {"model": "./nowhere", "text": "${input.prompt as text}"}


def document(controller: Any = None, **more: Any) -> Document:
    """A document of one component, with a controller."""
    content = {"component": COMPONENT, **({"controller": controller} if controller is not None else {}), **more}
    return load_document(text=json.dumps(content))


def write_document(folder: Path, model: Path, **more: Any) -> Path:
    """Write a compose file that runs a model; its workflow is the seed's."""
    content = {
        "controller": {"type": "http-server", "port": 8080, "base_path": "/api"},
        "workflow": {"title": "A poem", "input": "${input}", "output": {"generated": "${output}"}},
        "component": {"model": str(model), "text": "${input.prompt as text}", "max_output_length": 12},
        **more,
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model-compose.yml"
    path.write_text(json.dumps(content))
    return path
