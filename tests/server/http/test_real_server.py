"""A real server in a process of its own, with a real kernel and a tiny real model."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from httpx_sse import connect_sse
from jupyter_client import BlockingKernelClient, find_connection_file

from tests.server.jupyter import PATIENCE
from tests.support.runs import FIRST_LINE, Models, document, models  # noqa: F401
from tests.support.texts import POEM

ROOT = Path(__file__).parents[3]
TOKEN = "t"


@pytest.fixture
def process(folders: Path, tmp_path: Path, models: Models) -> Iterator[tuple[psutil.Process, httpx.Client]]:  # noqa: F811
    """A server that finds the extension as an installation leaves it, on an odd base URL."""
    enabled = tmp_path / "config" / "jupyter_server_config.d"
    enabled.mkdir(parents=True)
    shutil.copy(ROOT / "jupyter-config/server-config/mcnb.json", enabled)
    (folders / "model-compose.yml").write_text(document(models.poet))
    environment = {name: value for name, value in os.environ.items() if name != "JUPYTER_NO_CONFIG"}
    command = [sys.executable, "-m", "jupyter_server", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    port = _free_port()
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--ServerApp.root_dir={folders}"]
    command += [f"--IdentityProvider.token={TOKEN}", "--ServerApp.base_url=/a%40b/"]
    with (tmp_path / "server.log").open("wb") as stream:
        started = subprocess.Popen(command, env=environment, stdout=stream, stderr=stream, cwd=folders)
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}/a%40b/",
        headers={"Authorization": f"token {TOKEN}"},
        timeout=PATIENCE,
        trust_env=False,
    )
    try:
        _until_it_answers(client, started)
        yield psutil.Process(started.pid), client
    finally:
        client.close()
        started.send_signal(signal.SIGTERM)
        started.wait(PATIENCE)


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def _until_it_answers(client: httpx.Client, started: subprocess.Popen[bytes]) -> None:
    while started.poll() is None:
        try:
            client.get("api/status").raise_for_status()
        except (httpx.TransportError, httpx.HTTPStatusError):
            continue
        return


def _maps(process: psutil.Process) -> str:
    return "\n".join(entry.path for entry in process.memory_maps())


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at what the processes have mapped")
def test_from_the_request_to_the_model_and_back(process: tuple[psutil.Process, httpx.Client]) -> None:
    server, http = process
    runs = "api/workflows/runs"
    body = {"input": {"prompt": FIRST_LINE}, "parameters": {"max_output_length": 12}}
    reply = http.post(runs, json={**body, "seed": 3})
    assert reply.status_code == 200, reply.text
    run = reply.json()
    text = run["output"]
    assert POEM.startswith(text)
    assert len(text) > len(FIRST_LINE)
    assert run["seed"] == 3
    assert reply.headers["Location"] == f"/a%40b/{runs}/{run['run_id']}"
    record = http.get(f"{runs}/{run['run_id']}").json()["record"]
    assert record["usage"]["output_tokens"] == 12

    with connect_sse(http, "POST", runs, json={**body, "stream": True}) as source:
        address = source.response.headers["Location"]
        events = [event.json() for event in source.iter_sse()]
    assert events[-1]["state"] == "completed"
    streamed = "".join(event["text"] for event in events if event["type"] == "token" and event["streamed"])
    assert streamed == text
    again = http.get(f"{address.removeprefix('/a%40b/')}/events", headers={"Last-Event-ID": "2"})
    assert again.text.count("data: ") == len(events) - 2

    kernels = [child for child in server.children(recursive=True) if "torch" in _maps(child)]
    assert len(kernels) == 1, "one kernel holds the model"
    assert "torch" not in _maps(server)
    assert "libtorch" in _maps(kernels[0])


def test_a_notebook_lends_its_kernel_and_its_model(
    process: tuple[psutil.Process, httpx.Client],
    models: Models,  # noqa: F811
    tmp_path: Path,
) -> None:
    _, http = process
    kernel_id = http.post("api/kernels", json={"name": "python3"}).json()["id"]
    notebook = BlockingKernelClient(connection_file=find_connection_file(f"kernel-{kernel_id}.json"))
    notebook.load_connection_file()
    notebook.start_channels()
    try:
        notebook.wait_for_ready(timeout=PATIENCE)
        began, gate = tmp_path / "began", tmp_path / "gate"
        notebook.execute(_CELL.format(text=document(models.poet), began=str(began), gate=str(gate)))
        while not began.exists():
            assert http.get(f"api/kernels/{kernel_id}").status_code == 200
        body = {"input": {"prompt": FIRST_LINE}, "parameters": {"max_output_length": 12}}
        run = http.post("api/workflows/runs", json={**body, "kernel_id": kernel_id}).json()
        assert run["status"] == "completed", run
        assert run["kernel_id"] == kernel_id
        assert not gate.exists(), "the cell still runs"
        record = http.get(f"api/workflows/runs/{run['run_id']}").json()["record"]
        assert record["generations"][0]["cache_hit"], "the notebook's model is used, not loaded again"
        events = http.get(f"api/workflows/runs/{run['run_id']}/events").text
        assert "event: load" not in events
        assert len(http.get("api/kernels").json()) == 1, "no other kernel was started for it"
        gate.touch()
    finally:
        notebook.stop_channels()


_CELL = """
import pathlib, time, mcnb
mcnb.load(text={text!r}).run(prompt="a")
pathlib.Path({began!r}).touch()
while not pathlib.Path({gate!r}).exists():
    time.sleep(0.01)
"""
