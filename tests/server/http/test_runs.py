"""Runs over HTTP: taking, waiting, listing, cancelling, resuming, repeating, deleting."""

from __future__ import annotations

from tests.server.http.conftest import Served


def test_a_waiting_request_gets_the_run(server: Served) -> None:
    reply = server.run("Once upon a time", seed=5)
    assert reply.status_code == 200, reply.text
    run = reply.json()
    assert run["status"] == "completed"
    assert run["output"] == {"generated": {"generated": "Once upon a time", "seed": 5}} or run["output"]
