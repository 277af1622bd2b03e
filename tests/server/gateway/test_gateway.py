"""The kernel behind a real gateway on this host: what the server does when the gateway is away, silent or new."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyter_client.session import Session
from websocket import create_connection

from tests.reliability.gateway_process import PATIENCE, GatewayProcess
from tests.reliability.server_process import ServerProcess, kill

from .conftest import SAYS, WAITS, asks, until

RUNS = "workflows/runs"


class Client:
    """Runs of one server."""

    def __init__(self, server: ServerProcess) -> None:
        self.http = httpx.Client(base_url=server.url, headers=server.headers, timeout=PATIENCE, trust_env=False)

    def run(self, **more: Any) -> dict[str, Any]:
        """Ask for a run that says something, and wait for its end."""
        return dict(self.http.post(RUNS, json=asks(**more)).json())

    def begun(self, **more: Any) -> str:
        """Ask for a run that waits, and return its id when it is under way."""
        run_id = self.asked(WAITS, **more)
        until(lambda: self.get(run_id)["status"] == "processing")
        return run_id

    def asked(self, workflow: str, **more: Any) -> str:
        """Ask for a run and return its id."""
        return str(self.http.post(RUNS, json=asks(workflow, wait_for_completion=False, **more)).json()["run_id"])

    def get(self, run_id: str) -> dict[str, Any]:
        return dict(self.http.get(f"{RUNS}/{run_id}").json())

    def over(self, run_id: str) -> dict[str, Any]:
        """Wait for the end of a run."""
        until(lambda: self.get(run_id)["status"] in ("completed", "failed", "cancelled"))
        return self.get(run_id)


@pytest.fixture
def client(server: ServerProcess) -> Any:
    made = Client(server)
    yield made
    made.http.close()


def died(run: dict[str, Any], why: str) -> bool:
    """Whether a run failed because its kernel died, and says why."""
    assert (run["status"], run["error"]["code"]) == ("failed", "kernel_died"), run
    assert why in run["error"]["message"]
    return True


def test_a_gateway_that_comes_later_and_is_started_again(gateway: GatewayProcess, client: Client) -> None:
    assert died(client.run(), f"the kernel gateway {gateway.url} cannot be reached (Connection refused)")

    gateway.start()
    assert client.run()["output"] == "hello"
    (first,) = gateway.kernels()

    waiting = client.begun()
    gateway.kill()
    assert died(client.over(waiting), "its gateway does not answer")

    gateway.start()
    assert client.run()["output"] == "hello"
    assert len(gateway.kernels()) == 1
    assert gateway.kernels() != [first]


def test_a_gateway_that_was_started_again_while_nothing_ran(gateway: GatewayProcess, client: Client) -> None:
    gateway.start()
    assert client.run()["status"] == "completed"
    gateway.stop()
    gateway.start()
    assert client.run()["status"] == "completed"


def test_a_kernel_that_dies_there(gateway: GatewayProcess, client: Client) -> None:
    """The gateway starts it again by itself: one that has lost its runs and its models."""
    gateway.start()
    waiting = client.begun()
    (first,) = gateway.kernels()
    kill(first)
    assert died(client.over(waiting), "the kernel was restarted")
    assert client.run()["status"] == "completed"
    until(lambda: len(gateway.kernels()) == 1)


def test_a_gateway_that_says_nothing(gateway: GatewayProcess, server: ServerProcess, client: Client) -> None:
    """As behind a cut link: no connection is closed. What is asked for meanwhile waits."""
    gateway.start()
    waiting = client.begun()
    (first,) = gateway.kernels()
    os.kill(gateway.pid, signal.SIGSTOP)
    try:
        assert died(client.over(waiting), "its gateway does not answer")
        following = client.asked(SAYS)
        assert httpx.get(server.url + "health", headers=server.headers, trust_env=False).status_code == 200
        assert client.get(following)["status"] == "pending"
    finally:
        os.kill(gateway.pid, signal.SIGCONT)
    assert client.over(following)["status"] == "completed"
    until(lambda: len(gateway.kernels()) == 1)
    assert gateway.kernels() != [first], "the kernel that was left behind is shut down"


CELL = """
import pathlib, time
pathlib.Path({began!r}).touch()
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.01)
"""


def test_a_notebook_lends_its_kernel_while_a_cell_runs(
    gateway: GatewayProcess, server: ServerProcess, client: Client, tmp_path: Path
) -> None:
    gateway.start()
    kernel_id = client.http.post("kernels", json={"name": "python3"}).json()["id"]
    began, gate = tmp_path / "began", tmp_path / "gate"
    address = f"ws://127.0.0.1:{server.port}/api/kernels/{kernel_id}/channels"
    notebook = create_connection(address, timeout=PATIENCE, header=server.headers)
    try:
        code = CELL.format(began=str(began), gate=str(gate))
        message = Session().msg("execute_request", {"code": code, "silent": False})
        notebook.send(json.dumps({**message, "channel": "shell"}, default=str))
        until(began.exists)
        run = client.run(kernel_id=kernel_id)
        assert (run["status"], run["kernel_id"]) == ("completed", kernel_id)
        assert not gate.exists(), "the cell still runs"
        assert len(gateway.kernels()) == 1, "no other kernel was started for it"
        gate.touch()
    finally:
        notebook.close()


def test_a_wrong_token(tmp_path: Path, document: Path, gateway: GatewayProcess) -> None:
    gateway.start()
    access = {**gateway.access, "JUPYTER_GATEWAY_AUTH_TOKEN": "wrong"}
    with ServerProcess(tmp_path / "server", [document], environment=access) as server:
        client = Client(server)
        assert died(client.run(), "asks for another token; JUPYTER_GATEWAY_AUTH_TOKEN")
        client.http.close()
    assert gateway.kernels() == []


def test_a_kernel_without_a_server_is_culled(tmp_path: Path, document: Path) -> None:
    """With the options that the documentation names: nobody else would ever end it."""
    culling = ("--MappingKernelManager.cull_idle_timeout=1", "--MappingKernelManager.cull_interval=1")
    with GatewayProcess(tmp_path / "gateway", *culling) as gateway:
        server = ServerProcess(tmp_path / "server", [document], environment=gateway.access)
        with server:
            client = Client(server)
            assert client.run()["status"] == "completed"
            server.kill()
            client.http.close()
            assert len(gateway.kernels()) == 1
            until(lambda: gateway.kernels() == [])
