"""Requests made up from the OpenAPI document, good ones and bad ones: the server never fails."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import not_a_server_error

from tests.server.http.conftest import Serve

EXAMPLES = 20
"""For each operation."""


@pytest.mark.timeout(600)
def test_no_request_is_a_defect(serve: Serve) -> None:
    server = serve({"heartbeat": 0.05})
    document = server.http.get("api/workflows/openapi.json").json()
    del document["servers"], document["paths"]["/workflows/openapi.json"]
    schema = schemathesis.openapi.from_dict(document)
    held = {"run_id": server.held(), "workflow_id": "typed"}
    statuses: dict[int, int] = {}
    for result in schema.get_all_operations():
        operation = result.ok()

        @hypothesis.settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy(), known=hypothesis.strategies.booleans())
        def ask(case: Any, known: bool) -> None:
            if known:
                for name in case.path_parameters or {}:
                    case.path_parameters[name] = held[name]
            if isinstance(case.body, dict) and case.body.get("input") is not None and known:
                case.body = {**case.body, "input": {"prompt": "x"}}
            reply = case.call(base_url=f"{server.url}api", headers={"Authorization": f"token {server.token}"})
            statuses[reply.status_code] = statuses.get(reply.status_code, 0) + 1
            case.validate_response(reply, checks=[not_a_server_error])

        ask()
    assert {200, 202, 400, 404} <= statuses.keys()
