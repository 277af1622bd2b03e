"""The requests that the peer's clients send, and the shapes of the replies they read."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.http.conftest import Serve, Served


@pytest.fixture(params=["/api", "/"])
def peer(request: pytest.FixtureRequest, serve: Serve) -> Served:
    """A server where the peer's clients look for it: under a path of the file's, with no token."""
    server = serve({"base_path": request.param}, token="", base_url="/")
    server.http.base_url = server.url.rstrip("/") + request.param
    return server


def as_json(values: dict[str, Any]) -> dict[str, Any]:
    return {"json": values}


def as_form(values: dict[str, Any]) -> dict[str, Any]:
    return {"data": _flat(values)}


def as_multipart(values: dict[str, Any]) -> dict[str, Any]:
    return {"files": {name: (None, value) for name, value in _flat(values).items()}}


def _flat(values: dict[str, Any]) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat.update({f"{name}[{key}]": str(item) for key, item in value.items()})
        else:
            flat[name] = str(value).lower() if isinstance(value, bool) else str(value)
    return flat


SHAPES = [as_json, as_form, as_multipart]


@pytest.mark.parametrize("shape", SHAPES)
def test_run_and_wait(peer: Served, shape: Any) -> None:
    reply = peer.http.post("/workflows/runs", **shape({"workflow_id": "write", "input": {"prompt": "Once upon"}}))
    assert reply.status_code == 200, reply.text
    task = reply.json()
    assert {"task_id", "status", "workflow_id", "output"} <= task.keys()
    assert (task["status"], task["output"]["generated"]) == ("completed", "Once upon")
    bare = peer.http.post("/workflows/runs", **shape({"input": {"prompt": "Once upon"}, "output_only": True}))
    assert bare.json()["generated"] == "Once upon"


@pytest.mark.parametrize("shape", SHAPES)
def test_run_and_poll(peer: Served, shape: Any) -> None:
    body = {"input": {"prompt": "hold"}, "wait_for_completion": False, "session_id": "s", "metadata": {"k": "v"}}
    reply = peer.http.post("/workflows/runs", **shape(body))
    assert reply.status_code in (200, 202)
    task_id = reply.json()["task_id"]
    assert reply.json()["status"] in ("pending", "processing")
    while peer.http.get(f"/tasks/{task_id}").json()["status"] != "processing":
        pass
    peer.call(lambda: peer.kernels.link.finish(task_id, "completed", output={"generated": "x"}))
    while (task := peer.http.get(f"/tasks/{task_id}").json())["status"] == "processing":
        pass
    assert (task["status"], task["output"], task["metadata"]) == ("completed", {"generated": "x"}, {"k": "v"})
    assert peer.http.get(f"/tasks/{task_id}", params={"output_only": "true"}).json() == {"generated": "x"}
    assert peer.http.get("/tasks/nobody").status_code == 404


def test_cancel(peer: Served) -> None:
    body = {"input": {"prompt": "hold"}, "wait_for_completion": False}
    task_id = peer.http.post("/workflows/runs", json=body).json()["task_id"]
    cancelled = peer.http.post(f"/tasks/{task_id}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "cancelled")
    assert peer.http.post(f"/tasks/{task_id}/cancel").status_code == 409
    assert peer.http.post("/tasks/nobody/cancel").status_code == 404


def test_workflows_and_health(peer: Served) -> None:
    assert peer.http.get("/health").json() == {"status": "ok"}
    (first, *_) = peer.http.get("/workflows").json()
    assert first == {"workflow_id": "write", "title": "Write", "default": True}
    (first, *_) = peer.http.get("/workflows", params={"include_schema": "true"}).json()
    schema = peer.http.get("/workflows/write/schema").json()
    assert first == schema
    assert schema.keys() == {"workflow_id", "title", "description", "input", "output", "default"}
    assert schema["input"][0].items() >= {"name": "prompt", "type": "text"}.items()
    assert peer.http.get("/workflows/nobody/schema").status_code == 404


def test_what_is_refused(peer: Served) -> None:
    assert peer.http.post("/workflows/runs", json={"workflow_id": "nobody", "input": {}}).status_code == 404
    assert peer.http.post("/workflows/runs", json=[]).status_code == 400
