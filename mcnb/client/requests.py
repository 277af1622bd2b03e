"""What a RemoteCompose asks a server for: runs taken, runs listed, runs cancelled."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from mcnb.client.replies import cannot_understand
from mcnb.client.server import Server
from mcnb.compose.plain_values import plain_values
from mcnb.errors import QueueFullError

UNDER_WAY = ("pending", "processing", "interrupted", "cancelling")

REFUSALS = 4
"""Attempts at a queue that is full."""

LONGEST_RETRY = 10
"""Seconds: who waits at a prompt is told rather than kept waiting for longer."""


def take(
    server: Server,
    *,
    workflow: str,
    input: Mapping[str, Any],
    seed: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    timeout: float | None = None,
    priority: str | None = None,
    is_wanted: Callable[[], bool] | None = None,
) -> dict[str, Any]:
    """Give a run to the server and return what it says about it.

    The request has a key of its own: sent again because no reply came, it is the same run.

    Parameters
    ----------
    server : Server
        Takes it.
    workflow : str
        By which the server knows the workflow.
    input, seed, parameters, timeout
        As in ``Compose.submit``.
    priority : str, optional
        ``interactive, api`` or ``bulk``.
    is_wanted : callable, optional
        For work that can wait: while it says so, a full queue is asked again and again.

    Raises
    ------
    InvalidInputError
        When the input does not fit.
    QueueFullError
        When the queue stays full.
    McnbError
        What else the server says.
    """
    body: dict[str, Any] = {
        "workflow_id": workflow,
        "input": plain_values(input),
        "wait_for_completion": False,
        "seed": seed,
        "parameters": plain_values(parameters) if parameters else None,
        "timeout": timeout,
        "priority": priority,
    }
    sent = {name: value for name, value in body.items() if value is not None}
    key = uuid.uuid4().hex
    attempt = 1
    while True:
        try:
            return _a_run(server, server.post("workflows/runs", sent, key=key))
        except QueueFullError as error:
            waits = attempt < REFUSALS if is_wanted is None else is_wanted()
            if not waits or server.closed or (is_wanted is None and error.retry_after > LONGEST_RETRY):
                raise
            attempt += 1
            server.pause(error.retry_after if is_wanted is None else min(error.retry_after, 1))


def retry(server: Server, run_id: str) -> dict[str, Any]:
    """Let the server run one of its runs again and return what it says about the new one."""
    return _a_run(server, server.post(f"workflows/runs/{run_id}/retry", once=True))


def look(server: Server, run_id: str) -> dict[str, Any]:
    """Return what the server says about a run."""
    return _a_run(server, server.get(f"workflows/runs/{run_id}"))


def cancel(server: Server, run_id: str) -> dict[str, Any]:
    """Stop a run and return what the server says about it then."""
    return _a_run(server, server.post(f"workflows/runs/{run_id}/cancel"))


def under_way(server: Server) -> list[dict[str, Any]]:
    """Return the runs of the server that are not done, the oldest first; anybody's."""
    found: dict[str, dict[str, Any]] = {}
    for state in UNDER_WAY:
        cursor: str | None = None
        while True:
            params = {"status": state, "limit": 100, **({"cursor": cursor} if cursor else {})}
            reply = server.get("workflows/runs", params)
            if not isinstance(reply, dict) or not isinstance(reply.get("runs"), list):
                raise cannot_understand(server.url, "the runs are no list")
            found |= {str(item.get("run_id")): item for item in reply["runs"] if isinstance(item, dict)}
            cursor = reply.get("next_cursor")
            if not cursor:
                break
    return sorted(found.values(), key=lambda item: float(item.get("created") or 0))


def _a_run(server: Server, reply: Any) -> dict[str, Any]:
    if not isinstance(reply, dict) or not isinstance(reply.get("run_id"), str):
        raise cannot_understand(server.url, "it names no run")
    return reply
