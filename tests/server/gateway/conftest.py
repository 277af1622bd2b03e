"""A gateway and a server that uses it, and a document that needs no model."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.gateway_process import PATIENCE, GatewayProcess
from tests.reliability.server_process import ServerProcess

WAITS = "waits"
"""A workflow that waits for an hour: there is time to cut something."""

SAYS = "says"
"""A workflow that gives its input back."""


@pytest.fixture
def document(tmp_path: Path) -> Path:
    """A compose file of workflows without a model."""
    path = tmp_path / "model-compose.yml"
    jobs = {SAYS: {"duration": 0, "output": "${input.prompt as text}"}, WAITS: {"duration": "1h"}}
    workflows = [{"id": name, "jobs": [{"id": "job", "type": "delay", **job}]} for name, job in jobs.items()]
    workflows[0]["default"] = True
    path.write_text(json.dumps({"workflows": workflows}))
    return path


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[GatewayProcess]:
    """A gateway that is not started yet."""
    made = GatewayProcess(tmp_path / "gateway")
    yield made
    made.stop()


@pytest.fixture
def server(tmp_path: Path, document: Path, gateway: GatewayProcess) -> Iterator[ServerProcess]:
    """A server that has its kernels at the gateway, not started yet either."""
    made = ServerProcess(tmp_path / "server", [document], environment=gateway.access, stop_grace=0, poll_interval=0.2)
    with made:
        yield made


def asks(workflow: str = SAYS, prompt: str = "hello", **more: Any) -> dict[str, Any]:
    """Return the body of a request for a run."""
    return {"workflow_id": workflow, "input": {"prompt": prompt} if workflow == SAYS else {}, **more}


def until(holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    end = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < end, "it never came to hold"
        time.sleep(0.05)
