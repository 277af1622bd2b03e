"""Events over HTTP: live and again, from any number on, until the client leaves or the run is over."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from httpx_sse import connect_sse

from tests.server.http.conftest import Serve, Served

RUNS = "api/workflows/runs"
OPENING = b"retry: 1000\n"


def events_of(server: Served, run_id: str, after: int = 0) -> bytes:
    headers = {"Last-Event-ID": str(after)} if after else {}
    reply = server.http.get(f"{RUNS}/{run_id}/events", headers=headers)
    assert reply.headers["Content-Type"] == "text/event-stream"
    return reply.content.removeprefix(OPENING)


def test_a_streaming_request(server: Served) -> None:
    with connect_sse(server.http, "POST", RUNS, json={"input": {"prompt": "a b"}, "stream": True}) as source:
        assert source.response.status_code == 200
        assert source.response.headers["Cache-Control"] == "no-cache, no-transform"
        run_id = source.response.headers["Location"].rpartition("/")[2]
        found = list(source.iter_sse())
    events = [json.loads(event.data) for event in found]
    assert list(dict.fromkeys(event["type"] for event in events)) == ["state", "token", "output"]
    assert "".join(event.get("text", "") for event in events) == "a b"
    assert [event["state"] for event in events if event["type"] == "state"] == ["pending", "processing", "completed"]
    assert [(event.id, event.event) for event in found] == [(str(e["id"]), e["type"]) for e in events]
    assert [event["id"] for event in events] == list(range(1, len(events) + 1))
    assert server.http.get(f"{RUNS}/{run_id}").json()["events"] == len(events)


def test_accept_asks_for_events_too(server: Served) -> None:
    reply = server.http.post(RUNS, json={"input": {"prompt": "a"}}, headers={"Accept": "text/event-stream"})
    assert reply.headers["Content-Type"] == "text/event-stream"


def test_live_and_again_are_the_same_bytes(server: Served) -> None:
    live = server.http.post(RUNS, json={"input": {"prompt": "从前 b c"}, "stream": True})
    run_id = live.headers["Location"].rpartition("/")[2]
    whole = events_of(server, run_id)
    assert live.content == OPENING + whole
    frames = whole.split(b"\n\n")[:-1]
    for number in range(len(frames) + 1):
        assert events_of(server, run_id, number) == b"".join(frame + b"\n\n" for frame in frames[number:])
    assert server.http.get(f"{RUNS}/{run_id}/events", params={"after": 2}).content.count(b"data:") == len(frames) - 2


def test_numbers_that_are_none(server: Served) -> None:
    run_id = server.run("x").json()["run_id"]
    for wrong in ("x", "-1", "1" * 30):
        reply = server.http.get(f"{RUNS}/{run_id}/events", headers={"Last-Event-ID": wrong})
        assert (reply.status_code, reply.json()["errors"][0]["field"]) == (400, "Last-Event-ID")
    assert events_of(server, run_id, 10**6) == b""
    assert server.http.get(f"{RUNS}/nobody/events").status_code == 404


def test_what_is_refused_is_no_stream(server: Served) -> None:
    reply = server.http.post(RUNS, json={"stream": True})
    assert (reply.status_code, reply.headers["Content-Type"]) == (400, "application/json")


def test_silence_is_filled_with_signs_of_life(serve: Serve) -> None:
    server = serve({"heartbeat": 0.02})
    run_id = server.held()
    with server.http.stream("GET", f"{RUNS}/{run_id}/events") as reply:
        lines = reply.iter_lines()
        assert [line for line, _ in zip((line for line in lines if line.startswith(":")), range(3), strict=False)]
        server.call(lambda: server.kernels.link.finish(run_id, "completed"))
        assert json.loads([line for line in lines if line.startswith("data:")][-1][6:])["state"] == "completed"


def leave(server: Served, body: dict[str, Any], headers: dict[str, str] | None = None, *, read: bytes = b"") -> None:
    """Send a request for a run that is held; leave when its kernel has it and some bytes were read."""
    content = json.dumps({"input": {"prompt": "hold"}, **body}).encode()
    address = urlsplit(server.url)
    lines = {
        "Host": address.netloc,
        "Authorization": f"token {server.token}",
        "Content-Type": "application/json",
        "Content-Length": str(len(content)),
        **(headers or {}),
    }
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as connection:
        connection.sendall(f"POST {address.path}{RUNS} HTTP/1.1\r\n{head}\r\n".encode() + content)
        _the_run(server)
        received = b""
        while read not in received:
            received += connection.recv(1000)


def _the_run(server: Served) -> str:
    """Wait for the newest run that is not over."""
    while True:
        found = [run for run in server.http.get(RUNS).json()["runs"] if run["finished"] is None]
        if found:
            return str(found[0]["run_id"])


@pytest.mark.parametrize("body", [{}, {"stream": True}])
def test_a_client_that_leaves_cancels_its_run(server: Served, body: dict[str, Any]) -> None:
    leave(server, body, read=b"processing" if body else b"")
    (run,) = server.http.get(RUNS).json()["runs"]
    assert server.until(run["run_id"], "cancelled")["status"] == "cancelled"


def test_also_while_it_waits_its_turn(serve: Serve) -> None:
    server = serve({"running": 1})
    first = server.held()
    content = {"input": {"prompt": "waiting"}, "session_id": "second"}
    with pytest.raises(httpx.ReadTimeout):
        server.http.post(RUNS, json=content, timeout=0.2)
    (run,) = server.http.get(RUNS, params={"session_id": "second"}).json()["runs"]
    assert server.until(run["run_id"], "cancelled")["started"] is None
    assert server.http.get(f"{RUNS}/{first}").json()["status"] == "processing"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"cancel_on_disconnect": False}, {}),
        ({"stream": True, "cancel_on_disconnect": False}, {}),
        ({}, {"Idempotency-Key": "k"}),
    ],
)
def test_unless_it_asked_otherwise(server: Served, body: dict[str, Any], headers: dict[str, str]) -> None:
    leave(server, body, headers)
    run_id = _the_run(server)
    while server.call(lambda: len(server.extension.watching)):  # until the server has noticed
        pass
    assert server.until(run_id, "processing")["status"] == "processing"
    server.call(lambda: server.kernels.link.finish(run_id, "completed", output="x"))
    assert server.until(run_id, "completed")["output"] == "x"


def test_a_run_that_somebody_else_waits_for_goes_on(server: Served) -> None:
    with server.http.stream("POST", RUNS, json={"input": {"prompt": "hold"}, "stream": True}) as first:
        run_id = first.headers["Location"].rpartition("/")[2]
        with server.client() as other, other.stream("GET", f"{RUNS}/{run_id}/events") as second:
            lines = second.iter_lines()
            next(lines)
            first.close()
            while server.call(lambda: len(server.extension.watching)) > 1:
                pass
            assert server.kernels.link.cancelled == []
            server.call(lambda: server.kernels.link.finish(run_id, "completed"))
            assert "completed" in [line for line in lines if line.startswith("data:")][-1]


def test_a_reader_who_leaves_cancels_nothing(server: Served) -> None:
    run_id = server.held()
    with server.http.stream("GET", f"{RUNS}/{run_id}/events") as reply:
        next(reply.iter_lines())
    while server.call(lambda: len(server.extension.watching)):
        pass
    assert server.http.get(f"{RUNS}/{run_id}").json()["status"] == "processing"
