"""The compose file that the reliability scripts serve: tiny models that recite, and a workflow with no model."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.texts import POEM

LINE = POEM.splitlines(keepends=True)[0]

SHORT = "short"
"""Recites a poem, some 150 tokens, or as many as ``tokens`` says."""

LONG = "long"
"""Recites 60 poems, some 8,800 tokens, or as many as ``tokens`` says: there is time to kill something."""

PLAIN = "plain"
"""Gives its input back: no model, no kernel's time."""


def served(folder: Path) -> Path:
    """Write the models and the compose file into a folder; return the file's path."""
    from tests.support.tiny_models import reciter

    folder.mkdir(parents=True, exist_ok=True)
    texts = {SHORT: POEM, LONG: POEM * 60}
    for name, text in texts.items():
        reciter(folder / name, text)
    document = {
        "components": [
            {
                "id": name,
                "model": f"./{name}",
                "text": "${input.prompt as text}",
                "max_output_length": f"${{input.tokens as integer | {9000 if name == LONG else 160}}}",
                "params": {"do_sample": False},
            }
            for name in texts
        ],
        "workflows": [
            *({"id": name, "default": name == SHORT, "jobs": [_recites(name)]} for name in texts),
            {
                "id": PLAIN,
                "jobs": [{"id": "says", "type": "delay", "duration": 0, "output": "${input.prompt as text}"}],
            },
        ],
    }
    path = folder / "model-compose.yml"
    path.write_text(json.dumps(document, indent=2))
    return path


def _recites(name: str) -> dict[str, object]:
    return {"id": "recites", "component": name, "input": "${input}", "output": {"generated": "${output}"}}


def asks(workflow: str, tokens: int | None = None, **more: object) -> dict[str, object]:
    """Return the body of a request for a run."""
    budget = {} if tokens is None else {"tokens": tokens}
    return {"workflow_id": workflow, "input": {"prompt": LINE, **budget}, **more}
