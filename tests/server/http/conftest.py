"""Servers whose kernels are scripted, with two workflows to run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.jupyter import JupyterServer
from tests.server.scripted_kernels import ScriptedKernels

DOCUMENT = {
    "component": {"id": "writer", "model": "someone/something", "text": "${input.prompt as text}"},
    "workflows": [
        {
            "id": "write",
            "title": "Write",
            "description": "Goes on with a text.",
            "default": True,
            "job": {
                "component": "writer",
                "input": {"prompt": "${input.prompt as text @(description what to go on with)}"},
            },
            "output": {"generated": "${output}"},
        },
        {
            "id": "typed",
            "job": {
                "component": "writer",
                "input": {
                    "prompt": "${input.prompt as text} ${input.n as integer | 1 @(range 1..9)} "
                    "${input.loud as boolean | false} ${input.tone as select/calm,glad | calm}"
                },
            },
        },
    ],
}


class Served(JupyterServer):
    """A server, its scripted kernels and a client."""

    kernels: ScriptedKernels
    http: httpx.Client

    def run(self, prompt: str = "Once upon a time", **body: Any) -> httpx.Response:
        """POST a run of the default workflow."""
        return self.http.post("api/workflows/runs", json={"input": {"prompt": prompt}, **body})

    def held(self, state: str = "processing") -> str:
        """POST a run that its kernel holds, and return its id when it is in that state."""
        prompt = "ask" if state == "interrupted" else "hold"
        run_id = str(self.run(prompt, wait_for_completion=False).json()["run_id"])
        self.until(run_id, state)
        return run_id

    def until(self, run_id: str, state: str) -> dict[str, Any]:
        """Read a run's events until it is in a state, and return the run."""
        with self.http.stream("GET", f"api/workflows/runs/{run_id}/events") as reply:
            for line in reply.iter_lines():
                if line.startswith("data: ") and json.loads(line[6:]).get("state") == state:
                    break
        found: dict[str, Any] = self.http.get(f"api/workflows/runs/{run_id}").json()
        return found


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Jupyter's folders, for this test alone; returns a root folder with a compose file."""
    for name in ("CONFIG", "DATA", "RUNTIME"):
        monkeypatch.setenv(f"JUPYTER_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "1")
    root = tmp_path / "root"
    root.mkdir()
    (root / "model-compose.yml").write_text(json.dumps(DOCUMENT))
    return root


Serve = Callable[..., Served]


@pytest.fixture
def serve(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start servers with scripted kernels."""
    from mcnb.server.extension import McnbExtension

    served: list[Served] = []

    def start(traits: dict[str, Any] | None = None, config: dict[str, Any] | None = None, **options: Any) -> Served:
        kernels = ScriptedKernels()
        monkeypatch.setattr(McnbExtension, "_kernels", lambda self, owner: kernels)
        made = Served(folders, {"stop_grace": 0.0, **(traits or {})}, config, **options)
        made.kernels = kernels
        made.http = made.client()
        served.append(made)
        return made

    yield start
    for made in served:
        made.http.close()
        made.close()


@pytest.fixture
def server(serve: Serve) -> Served:
    """One such server."""
    return serve()
