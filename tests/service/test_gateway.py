"""``mcnb up --gateway-url``: the models of a service at a real kernel gateway."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.processes import run
from tests.reliability.gateway_process import GatewayProcess
from tests.service.running import running

pytestmark = pytest.mark.usefixtures("home")

DOCUMENT = {
    "workflow": {"id": "says", "jobs": [{"id": "job", "type": "delay", "duration": 0, "output": "${input.prompt}"}]}
}


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "model-compose.yml"
    path.write_text(json.dumps(DOCUMENT))
    return path


def test_runs_are_computed_at_the_gateway(document: Path, tmp_path: Path) -> None:
    with GatewayProcess(tmp_path / "gateway") as gateway:
        access = {"JUPYTER_GATEWAY_AUTH_TOKEN": gateway.token}
        with running(document, "--gateway-url", gateway.url, **access) as up:
            assert f"models run at the kernel gateway {gateway.url}\n" in up.said
            status, body = up.run("hello")
            assert (status, body["output"]) == (200, "hello")
            assert len(gateway.kernels()) == 1
            assert up.end()[0] == 0
        assert gateway.kernels() == []


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gpu-box:8888", "'gpu-box:8888' is not the address of a kernel gateway"),
        ("http://", "'http://' is not the address of a kernel gateway"),
        ("http://gpu-box:port", "'http://gpu-box:port' is not the address of a kernel gateway"),
        ("http://someone:secret@gpu-box:8888", "--gateway-url shows a user's name and password"),
    ],
)
def test_what_is_no_address_is_refused(document: Path, url: str, told: str) -> None:
    for detach in ((), ("-d",)):
        done = run("up", "-f", document, "--gateway-url", url, *detach)
        assert done.returncode == 2
        assert told in done.stderr.decode()
