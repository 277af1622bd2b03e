"""What clients of model-compose send, replayed against a real server: its replies have the fields those clients read.

The requests are those of its HTTP adapter: JSON, form and multipart bodies, waiting or polling the task, cancelling,
the list of workflows and their schema, and the health check.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.reliability.documents import LINE, LONG, PLAIN, SHORT, served
from tests.reliability.server_process import ServerProcess

POETRY = "Tyger Tyger, burning bright,\nIn the forests of"
"""The line, and five tokens more."""


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("peer")
    with (
        ServerProcess(folder / "server", [served(folder / "served")]) as server,
        httpx.Client(base_url=server.url, headers=server.headers, timeout=60, trust_env=False) as made,
    ):
        yield made


def run(client: httpx.Client, **body: Any) -> httpx.Response:
    return client.post("workflows/runs", json=body)


def task(client: httpx.Client, task_id: str, *states: str) -> dict[str, Any]:
    """Poll a task until it is in one of some states."""
    end = time.monotonic() + 60
    while True:
        state: dict[str, Any] = client.get(f"tasks/{task_id}").json()
        if state["status"] in states:
            return state
        assert time.monotonic() < end, state
        time.sleep(0.05)


def test_waits_for_a_completed_task(client: httpx.Client) -> None:
    reply = run(client, workflow_id=SHORT, input={"prompt": LINE, "tokens": 5})

    assert reply.status_code == 200
    state = reply.json()
    assert (state["status"], state["workflow_id"]) == ("completed", SHORT)
    assert state["output"] == {"generated": POETRY}
    assert isinstance(state["task_id"], str)
    assert "error" not in state, "a client shows an error where there is one"


def test_default_workflow(client: httpx.Client) -> None:
    for body in ({}, {"workflow_id": None}, {"workflow_id": SHORT}):
        state = run(client, **body, input={"prompt": LINE, "tokens": 1}).json()
        assert (state["status"], state["workflow_id"]) == ("completed", SHORT)


def test_output_alone(client: httpx.Client) -> None:
    reply = run(client, workflow_id=PLAIN, input={"prompt": "Hello"}, output_only=True)

    assert (reply.status_code, reply.json()) == (200, "Hello")
    assert reply.headers["content-type"].startswith("application/json")


def test_polls_the_task_it_did_not_wait_for(client: httpx.Client) -> None:
    started = run(
        client,
        workflow_id=SHORT,
        input={"prompt": LINE, "tokens": 5},
        wait_for_completion=False,
        session_id="session-1",
        metadata={"user": "someone"},
    )
    assert started.is_success
    state = started.json()
    assert state["status"] in ("pending", "processing", "completed")

    done = task(client, state["task_id"], "completed")
    assert done["output"] == {"generated": POETRY}
    assert (done["session_id"], done["metadata"]) == ("session-1", {"user": "someone"})
    output = client.get(f"tasks/{state['task_id']}", params={"output_only": "true"})
    assert (output.status_code, output.json()) == (200, {"generated": POETRY})


def test_form(client: httpx.Client) -> None:
    fields = {"workflow_id": SHORT, "input[prompt]": LINE, "input[tokens]": "5"}
    reply = client.post("workflows/runs", data=fields)

    assert reply.status_code == 200
    assert reply.json()["output"] == {"generated": POETRY}


def test_form_switches(client: httpx.Client) -> None:
    """Words of a form stand for true and false, as the peer's own bodies take them."""
    for word in ("true", "True", "1", "on"):
        fields = {"workflow_id": PLAIN, "input[prompt]": "Hello", "output_only": word}
        assert client.post("workflows/runs", data=fields).json() == "Hello"
    fields = {"workflow_id": PLAIN, "input[prompt]": "Hello", "wait_for_completion": "false"}
    state = client.post("workflows/runs", data=fields).json()
    assert task(client, state["task_id"], "completed")["output"] == "Hello"


def test_multipart(client: httpx.Client) -> None:
    parts = {"workflow_id": (None, SHORT), "input[prompt]": (None, LINE), "input[tokens]": (None, "5")}
    reply = client.post("workflows/runs", files=parts)

    assert reply.status_code == 200
    assert reply.json()["output"] == {"generated": POETRY}


def test_multipart_keeps_the_bytes_of_a_prompt(client: httpx.Client) -> None:
    prompt = "床前明月光\r\n🌙 & = % +"
    parts = {"workflow_id": (None, PLAIN), "input[prompt]": (None, prompt.encode()), "output_only": (None, "true")}

    assert client.post("workflows/runs", files=parts).json() == prompt


def test_cancels_a_task(client: httpx.Client) -> None:
    started = run(client, workflow_id=LONG, input={"prompt": LINE}, wait_for_completion=False).json()
    task(client, started["task_id"], "processing")
    reply = client.post(f"tasks/{started['task_id']}/cancel")

    assert reply.status_code == 200
    assert (reply.json()["task_id"], reply.json()["status"]) == (started["task_id"], "cancelled")
    assert client.post(f"tasks/{started['task_id']}/cancel").status_code == 409
    output = client.get(f"tasks/{started['task_id']}", params={"output_only": "true"})
    assert (output.status_code, output.json()["status"]) == (409, "cancelled")


def test_task_that_nobody_knows(client: httpx.Client) -> None:
    assert client.get("tasks/01M82N2A62GWTSHECQJYZKN69W").status_code == 404
    assert client.post("tasks/01M82N2A62GWTSHECQJYZKN69W/cancel").status_code == 404


def test_workflows(client: httpx.Client) -> None:
    found = {workflow["workflow_id"]: workflow for workflow in client.get("workflows").json()}

    assert set(found) == {SHORT, LONG, PLAIN}
    assert found[SHORT]["default"] is True
    assert not found[PLAIN].get("default")
    assert "input" not in found[SHORT]


def test_workflows_with_schema(client: httpx.Client) -> None:
    found = {flow["workflow_id"]: flow for flow in client.get("workflows", params={"include_schema": "true"}).json()}
    prompt, tokens = found[SHORT]["input"]

    assert (prompt["name"], prompt["type"]) == ("prompt", "text")
    assert (tokens["name"], tokens["type"], tokens["default"]) == ("tokens", "integer", 160)
    assert isinstance(found[SHORT]["output"], list)


def test_schema_of_a_workflow(client: httpx.Client) -> None:
    schema = client.get(f"workflows/{SHORT}/schema").json()

    assert schema["workflow_id"] == SHORT
    assert [variable["name"] for variable in schema["input"]] == ["prompt", "tokens"]
    assert client.get("workflows/nobody/schema").status_code == 404


def test_health(client: httpx.Client) -> None:
    reply = client.get("health")

    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b'{"workflow_id": "nobody"}', "application/json", 404),
        (b"[1]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"wait_for_completion": "perhaps"}', "application/json", 400),
        (b"input=a&input[prompt]=b", "application/x-www-form-urlencoded", 400),
        (b'{"callback_url": "http://127.0.0.1/"}', "application/json", 400),
    ],
)
def test_refusals(client: httpx.Client, content: bytes, kind: str, status: int) -> None:
    reply = client.post("workflows/runs", content=content, headers={"Content-Type": kind})

    assert reply.status_code == status
    assert reply.json()["error"]["message"]
