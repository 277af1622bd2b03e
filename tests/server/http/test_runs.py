"""Runs over HTTP: taking, waiting, listing, cancelling, resuming, repeating, deleting."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.server.http.conftest import Serve, Served
from tests.server.scripted_kernels import KERNEL_ID

RUNS = "api/workflows/runs"


def test_a_waiting_request_gets_the_run(server: Served) -> None:
    reply = server.run("Once upon a time", seed=5, session_id="s", metadata={"for": "me"})
    assert reply.status_code == 200
    run = reply.json()
    expected = {
        "task_id": run["run_id"],
        "workflow_id": "write",
        "status": "completed",
        "output": {"generated": "Once upon a time", "seed": 5},
        "seed": 5,
        "priority": "api",
        "session_id": "s",
        "metadata": {"for": "me"},
    }
    assert expected.items() <= run.items()
    assert run["created"] <= run["started"] <= run["finished"]
    assert reply.headers["Location"] == f"/a%40b/api/workflows/runs/{run['run_id']}"
    details = server.http.get(f"{RUNS}/{run['run_id']}").json()
    assert run.items() <= details.items()
    assert details["input"] == {"prompt": "Once upon a time"}
    assert details["record"]["usage"]["output_tokens"] == 4


def test_the_output_alone(server: Served) -> None:
    reply = server.run("A b", seed=1, output_only=True)
    assert reply.json() == {"generated": "A b", "seed": 1}
    assert reply.headers["Content-Type"] == "application/json"
    run_id = reply.headers["Location"].rpartition("/")[2]
    for address in (f"{RUNS}/{run_id}", f"api/tasks/{run_id}"):
        assert server.http.get(address, params={"output_only": "true"}).json() == {"generated": "A b", "seed": 1}
    held = server.held()
    assert server.http.get(f"{RUNS}/{held}", params={"output_only": "true"}).status_code == 202


def test_a_request_that_does_not_wait(server: Served) -> None:
    reply = server.run("hold", wait_for_completion=False)
    assert reply.status_code == 202
    assert reply.json()["status"] in ("pending", "processing")
    run_id = reply.json()["run_id"]
    assert reply.headers["Location"].endswith(f"/{RUNS}/{run_id}")
    assert server.until(run_id, "processing")["status"] == "processing"
    server.call(lambda: server.kernels.link.finish(run_id, "completed", output="done"))
    assert server.until(run_id, "completed")["output"] == "done"


def test_how_runs_end_says_the_status(server: Served) -> None:
    failed = server.run("fail")
    assert failed.status_code == 500
    assert failed.json()["status"] == "failed"
    assert failed.json()["error"] == {"code": "out_of_memory", "message": "too large"}
    run_id = failed.json()["run_id"]
    assert server.http.get(f"{RUNS}/{run_id}").status_code == 200
    assert server.http.get(f"{RUNS}/{run_id}", params={"output_only": "1"}).status_code == 409
    interrupted = server.run("ask")
    assert interrupted.status_code == 202
    assert interrupted.json()["status"] == "interrupted"
    assert interrupted.json()["interruption"]["message"] == "Go on?"
    assert "Location" in interrupted.headers


def test_cancelling(server: Served) -> None:
    run_id = server.held()
    reply = server.http.post(f"{RUNS}/{run_id}/cancel")
    assert (reply.status_code, reply.json()["status"]) == (200, "cancelled")
    for address in (f"{RUNS}/{run_id}/cancel", f"api/tasks/{run_id}/cancel"):
        again = server.http.post(address)
        assert (again.status_code, again.json()["error"]["code"]) == (409, "conflict")
    assert server.http.post(f"{RUNS}/nobody/cancel").status_code == 404


def test_a_kernel_that_does_not_stop_at_once(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcnb.server.handlers.run import CancelHandler

    monkeypatch.setattr(CancelHandler, "patience", 0.01)
    run_id = server.held()
    monkeypatch.setattr(server.kernels.link, "cancel", lambda run_id: None)
    reply = server.http.post(f"{RUNS}/{run_id}/cancel")
    assert (reply.status_code, reply.json()["status"]) == (202, "cancelling")
    server.call(lambda: server.kernels.link.finish(run_id, "cancelled"))
    assert server.until(run_id, "cancelled")["status"] == "cancelled"


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (None, {"answer": None, "kept": True}),
        ({}, {"answer": None, "kept": True}),
        ({"answer": None}, {"answer": None, "kept": False}),
        ({"answer": ["x"]}, {"answer": ["x"], "kept": False}),
    ],
)
def test_answering_an_interruption(server: Served, body: dict[str, Any] | None, output: dict[str, Any]) -> None:
    run_id = server.held("interrupted")
    reply = (
        server.http.post(f"api/tasks/{run_id}/resume", json=body)
        if body is not None
        else server.http.post(f"{RUNS}/{run_id}/resume")
    )
    assert reply.status_code == 202, reply.text
    assert server.until(run_id, "completed")["output"] == output
    assert server.http.post(f"{RUNS}/{run_id}/resume").status_code == 409


def test_repeating_and_deleting(server: Served) -> None:
    run_id = server.held()
    assert server.http.post(f"{RUNS}/{run_id}/retry").status_code == 409
    assert server.http.delete(f"{RUNS}/{run_id}").status_code == 409
    server.http.post(f"{RUNS}/{run_id}/cancel")
    again = server.http.post(f"{RUNS}/{run_id}/retry")
    assert (again.status_code, again.json()["retry_of"]) == (202, run_id)
    assert again.headers["Location"].endswith(again.json()["run_id"])
    assert again.json()["seed"] == server.http.get(f"{RUNS}/{run_id}").json()["seed"]
    deleted = server.http.delete(f"{RUNS}/{run_id}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert server.http.get(f"{RUNS}/{run_id}").status_code == 404
    assert server.http.delete(f"{RUNS}/{run_id}").status_code == 404


def test_listing_page_by_page(server: Served) -> None:
    made = [server.run(f"number {n}", session_id="even" if n % 2 == 0 else "odd").json()["run_id"] for n in range(5)]
    held = server.held()
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor:
        page = server.http.get(RUNS, params={"limit": 2, **({"cursor": cursor} if cursor else {})}).json()
        found += [run["run_id"] for run in page["runs"]]
        assert all("output" not in run for run in page["runs"])
        cursor, pages = page["next_cursor"], pages + 1
    assert (found, pages) == ([held, *reversed(made)], 3)

    def ids(**query: Any) -> list[str]:
        return [run["run_id"] for run in server.http.get(RUNS, params=query).json()["runs"]]

    assert ids(status="processing") == [held]
    assert ids(session_id="even") == [made[4], made[2], made[0]]
    assert ids(workflow_id="typed") == []
    times = [server.http.get(f"{RUNS}/{run_id}").json()["created"] for run_id in made]
    assert ids(created_after=times[3], status="completed")[0] == made[4]
    assert made[4] not in ids(created_before=times[2])
    for wrong in ({"limit": "0"}, {"cursor": "x"}, {"status": "done"}, {"state": "failed"}):
        assert server.http.get(RUNS, params=wrong).status_code == 400


def test_a_key_is_one_run(server: Served) -> None:
    def send(prompt: str, key: str = "k-1", **body: Any) -> Any:
        return server.http.post(RUNS, json={"input": {"prompt": prompt}, **body}, headers={"Idempotency-Key": key})

    first, second = send("same"), send("same")
    assert first.json() == second.json()
    other = send("another")
    assert (other.status_code, other.json()["error"]["code"]) == (409, "conflict")
    assert send("another", "k-2").json()["run_id"] != first.json()["run_id"]
    for wrong in ("x" * 256, "\x7f"):
        assert send("same", wrong).status_code == 400


def test_an_attached_kernel(server: Served) -> None:
    run = server.run("hold", kernel_id=KERNEL_ID, wait_for_completion=False).json()
    assert server.until(run["run_id"], "processing")["kernel_id"] == KERNEL_ID
    assert server.call(lambda: run["run_id"] in server.kernels.other.runs)
    reply = server.run("x", kernel_id="nobody")
    assert (reply.status_code, reply.json()["error"]["code"]) == (404, "not_found")


def test_a_full_queue(serve: Serve) -> None:
    server = serve({"queue_length": 1, "running": 1})
    held = server.held()
    assert server.run("hold", wait_for_completion=False).status_code == 202
    refused = server.run("x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
    assert int(refused.headers["Retry-After"]) >= 1
    server.http.post(f"{RUNS}/{held}/cancel")


def test_a_full_disk(server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    from mcnb.errors import DiskFullError
    from mcnb.server.keeper import RunKeeper

    async def full(self: RunKeeper, request: object) -> None:
        raise DiskFullError("there is no room on the disk for the run database /home/someone/mcnb/runs.db")

    monkeypatch.setattr(RunKeeper, "submit", full)
    refused = server.run("x")
    assert (refused.status_code, refused.json()["error"]["code"]) == (507, "disk_full")
    assert "/home" not in refused.text


def test_what_the_caller_did_wrong_is_told_by_field(server: Served) -> None:
    missing = server.http.post(RUNS, json={})
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, "invalid_input")
    assert [item["field"] for item in missing.json()["errors"]] == ["prompt"]
    unknown = server.http.post(RUNS, json={"inputs": {"prompt": "x"}})
    assert "did you mean 'input'?" in unknown.json()["errors"][0]["message"]
    nobody = server.run("x", workflow_id="wirte")
    assert (nobody.status_code, "write" in nobody.json()["error"]["message"]) == (404, True)
    assert server.run("x", parameters={"temprature": 1}).status_code == 400
    assert server.run("x", parameters={"num_return_sequences": 9}).status_code == 400
    assert server.run("x", timeout=1e9).status_code == 400


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"{", "application/json", 400),
        (b'{"seed": NaN}', "application/json", 400),
        (b"[" * 500_000, "application/json", 400),
        (b"\xff", "application/json", 400),
        (b'{"input": {"prompt": "\\ud800"}}', "application/json", 400),
        (b"hello", "text/plain", 415),
        (b'{"input": {}}', "application/x-www-form-urlencoded", 415),
        (b'{"input": {"prompt": "' + b"x" * 1_000_000 + b'"}}', "application/json", 413),
    ],
)
def test_bodies_that_are_none(server: Served, content: bytes, kind: str, status: int) -> None:
    reply = server.http.post(RUNS, content=content, headers={"Content-Type": kind})
    assert reply.status_code == status
    assert reply.json().keys() == {"error", "errors"}
    assert reply.headers["Content-Type"].startswith("application/json")
    packed = server.http.post(RUNS, content=content[:9], headers={"Content-Type": kind, "Content-Encoding": "gzip"})
    assert packed.status_code == 415


def test_a_body_without_a_length_is_not_read_to_its_end(server: Served) -> None:
    sent = 0

    def endless() -> Any:
        nonlocal sent
        while True:
            sent += 1
            yield b"x" * 10_000

    reply = server.http.post(RUNS, content=endless(), headers={"Content-Type": "application/json"})
    assert reply.status_code == 413
    assert sent < 10_000


def test_forms(server: Served) -> None:
    form = {"workflow_id": "typed", "input[prompt]": "5", "input[n]": "5", "input[loud]": "true", "output_only": "true"}
    for reply in (
        server.http.post(RUNS, data={**form, "seed": "3"}),
        server.http.post(RUNS, data={**form, "seed": "3"}, files={"input[tone]": (None, b"glad")}),
    ):
        assert reply.status_code == 200, reply.text
    listed = server.http.get(RUNS).json()["runs"]
    inputs = [server.http.get(f"{RUNS}/{run['run_id']}").json()["input"] for run in reversed(listed)]
    assert inputs == [{"prompt": "5", "n": 5, "loud": True}, {"prompt": "5", "n": 5, "loud": True, "tone": "glad"}]
    assert listed[0]["seed"] == 3
    wrong = server.http.post(RUNS, data={**form, "input[n]": "five"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (400, "n")
    waits = server.http.post(RUNS, data={"input[prompt]": "hold", "wait_for_completion": "false"})
    assert waits.status_code == 202


def test_text_of_any_alphabet(server: Served) -> None:
    reply = server.run("从前，有一只 🐇\u2028\x00")
    assert reply.json()["output"]["generated"] == "从前，有一只 🐇\u2028\x00"
    assert "从前".encode() in reply.content
    with server.http.stream("POST", RUNS, json={"input": {"prompt": "从前 🐇\u2028"}, "stream": True}) as stream:
        data = [json.loads(line[6:]) for line in stream.read().decode().splitlines() if line.startswith("data: ")]
    assert "".join(event["text"] for event in data if event["type"] == "token") == "从前 🐇\u2028"
