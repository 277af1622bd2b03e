"""Events over HTTP: live and again, from any number on, until the client leaves or the run is over."""

from __future__ import annotations

import json
import socket
from typing import Any
from urllib.parse import urlsplit

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


def leave(server: Served, body: dict[str, Any], headers: dict[str, str] | None = None, *, read: bytes = b"") -> str:
    """Send a request for a run; leave when it is there and some bytes were read. Returns the run's id."""
    content = json.dumps({"input": {"prompt": "hold"}, "session_id": "left", **body}).encode()
    with open_request(server, len(content), headers) as connection:
        connection.sendall(content)
        while not (runs := server.http.get(RUNS, params={"session_id": "left"}).json()["runs"]):
            pass
        run_id = str(runs[0]["run_id"])
        while not server.call(lambda: server.extension.watching.watched(run_id)):
            pass
        received = b""
        while read not in received:
            received += connection.recv(1000)
    nobody_waits(server)  # before anybody else does, for whom the run would go on
    return run_id


def open_request(server: Served, length: int, headers: dict[str, str] | None = None) -> socket.socket:
    """Send the head of a POST of a run."""
    address = urlsplit(server.url)
    lines = {
        "Host": address.netloc,
        "Authorization": f"token {server.token}",
        "Content-Type": "application/json",
        "Content-Length": str(length),
        **(headers or {}),
    }
    head = "".join(f"{name}: {text}\r\n" for name, text in lines.items())
    connection = socket.create_connection((address.hostname or "", address.port or 0), timeout=60)
    connection.sendall(f"POST {address.path}{RUNS} HTTP/1.1\r\n{head}\r\n".encode())
    return connection


def nobody_waits(server: Served) -> None:
    """Return when the server has noticed that everybody left."""
    while server.call(lambda: len(server.extension.watching)):
        pass


@pytest.mark.parametrize("body", [{}, {"stream": True}])
def test_a_client_that_leaves_cancels_its_run(server: Served, body: dict[str, Any]) -> None:
    run_id = leave(server, body, read=b"processing" if body else b"")
    assert server.until(run_id, "cancelled")["status"] == "cancelled"


@pytest.mark.parametrize("body", [{}, {"stream": True}])
def test_also_while_it_waits_its_turn(serve: Serve, body: dict[str, Any]) -> None:
    server = serve({"running": 1})
    first = server.held()
    run_id = leave(server, body)
    assert server.until(run_id, "cancelled")["started"] is None
    assert server.http.get(f"{RUNS}/{first}").json()["status"] == "processing"


def test_a_client_that_leaves_in_the_middle_of_its_body_asked_for_nothing(server: Served) -> None:
    with open_request(server, 1000) as connection:
        connection.sendall(b'{"input": {"prompt": "hold"}')
    assert server.run("x").status_code == 200
    assert len(server.http.get(RUNS).json()["runs"]) == 1


def test_a_body_that_is_announced_too_large_is_not_waited_for(server: Served) -> None:
    with open_request(server, 2_000_000) as connection:
        received = connection.recv(10_000)
    assert received.startswith(b"HTTP/1.1 413 ")
    assert b"Connection: close" in received


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        ({"cancel_on_disconnect": False}, {}),
        ({"stream": True, "cancel_on_disconnect": False}, {}),
        ({}, {"Idempotency-Key": "k"}),
    ],
)
def test_unless_it_asked_otherwise(server: Served, body: dict[str, Any], headers: dict[str, str]) -> None:
    run_id = leave(server, body, headers)
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
    nobody_waits(server)
    assert server.http.get(f"{RUNS}/{run_id}").json()["status"] == "processing"
