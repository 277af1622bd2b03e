"""Requests made up from the OpenAPI document, good ones and bad ones: the server never fails."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from tests.server.http.conftest import Serve, Served

EXAMPLES = 30
"""For each operation."""


@pytest.mark.timeout(600)
def test_no_request_is_a_defect(serve: Serve) -> None:
    server = serve({"heartbeat": 0.05})
    document = server.http.get("api/workflows/openapi.json").json()
    del document["servers"], document["paths"]["/workflows/openapi.json"]
    schema = schemathesis.openapi.from_dict(document)
    done = server.run("x").json()["run_id"]
    statuses: dict[int, int] = {}
    for result in schema.get_all_operations():
        operation = result.ok()
        changes = operation.method in ("post", "delete")
        run_id = server.held() if changes and "{run_id}" in operation.path else done
        _ask(server, operation, {"run_id": run_id, "workflow_id": "typed"}, statuses)
    assert {200, 400, 404, 409} <= statuses.keys()


def _ask(server: Served, operation: Any, known: dict[str, str], statuses: dict[int, int]) -> None:
    """Send an operation's requests: half of them for things that are there."""

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=operation.as_strategy(), there=hypothesis.strategies.booleans())
    def ask(case: Any, there: bool) -> None:
        if there:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known[name]
            if isinstance(case.body, dict) and case.body.get("input") is not None:
                case.body = {**case.body, "input": {"prompt": "x"}}
        reply = case.call(base_url=f"{server.url}api", headers={"Authorization": f"token {server.token}"})
        statuses[reply.status_code] = statuses.get(reply.status_code, 0) + 1
        case.validate_response(reply, checks=[not_a_server_error])

    ask()
