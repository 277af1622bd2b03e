"""The OpenAPI document: valid, complete, and true of what is answered."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from mcnb.server.routes import ROUTES, handlers
from tests.server.http.conftest import Served

NAMES = re.compile(r"\{\w+\}|\(\?P<\w+>\[\^/\]\+\)")


@pytest.fixture
def document(server: Served) -> dict[str, Any]:
    reply = server.http.get("api/workflows/openapi.json")
    assert reply.status_code == 200
    found: dict[str, Any] = reply.json()
    return found


def test_it_says_where_it_is(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    assert document["servers"] == [{"url": "/a%40b/api"}]


def test_every_route_is_in_it_and_nothing_else(document: dict[str, Any]) -> None:
    told = {
        (NAMES.sub("*", path), method.upper())
        for path, operations in document["paths"].items()
        for method in operations
    }
    registered = {
        (NAMES.sub("*", pattern.removeprefix("/api").removesuffix("/?").replace("\\.", ".")), method)
        for pattern, _, options in handlers("/api", None)
        for method in options["allowed"]  # type: ignore[attr-defined]
    }
    assert told == registered == {("/" + NAMES.sub("*", r.path), m) for r in ROUTES for m in r.operations}
    ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
    assert len(ids) == len(set(ids))


def test_it_is_openapi(document: dict[str, Any]) -> None:
    """By its structure and its schemas; every reference leads somewhere."""
    assert document["info"].keys() >= {"title", "version"}
    registry = registry_of(document)
    for path, operations in document["paths"].items():
        for operation in operations.values():
            named = {p["name"] for p in operation["parameters"] if p["in"] == "path"}
            assert named == set(re.findall(r"\{(\w+)\}", path))
            assert operation["responses"]
            assert operation["summary"]
            for response in operation["responses"].values():
                assert response["description"]
    for schema in _schemas(document):
        Draft202012Validator.check_schema(schema)
        if "$ref" in schema:
            registry.resolver("urn:api").lookup("urn:api" + schema["$ref"])


def test_other_programs_can_load_it(document: dict[str, Any]) -> None:
    import schemathesis

    schema = schemathesis.openapi.from_dict(document)
    schema.validate()
    found = list(schema.get_all_operations())
    assert len(found) == sum(len(route.operations) for route in ROUTES)


def _schemas(value: Any) -> Any:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "schema":
                yield item
            yield from _schemas(item)
    elif isinstance(value, list):
        for item in value:
            yield from _schemas(item)


def registry_of(document: dict[str, Any]) -> Any:
    resource = Resource.from_contents(document, default_specification=DRAFT202012)
    return Registry().with_resource("urn:api", resource)


def check(document: dict[str, Any], reply: httpx.Response, path: str) -> None:
    """Hold a reply against what the document says of it."""
    operation = document["paths"][path][reply.request.method.lower()]
    assert str(reply.status_code) in operation["responses"], (path, reply.status_code)
    content = operation["responses"][str(reply.status_code)].get("content", {})
    kind = reply.headers.get("Content-Type", "").partition(";")[0]
    if not content:
        assert not reply.content
        return
    assert kind in content, (path, kind)
    if kind == "application/json":
        schema = _absolute(content[kind]["schema"])
        Draft202012Validator(schema, registry=registry_of(document)).validate(reply.json())


def _absolute(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: f"urn:api{v}" if k == "$ref" else _absolute(v) for k, v in schema.items()}
    return [_absolute(item) for item in schema] if isinstance(schema, list) else schema


def test_replies_are_as_it_says(server: Served, document: dict[str, Any]) -> None:
    http = server.http
    runs = "api/workflows/runs"
    done = server.run("x", session_id="s", metadata={"a": [1]}).json()["run_id"]
    held, asked = server.held(), server.held("interrupted")
    failed = server.run("fail")
    for path in ("/workflows", "/health", "/workflows/ready", "/workflows/openapi.json", "/workflows/runs"):
        check(document, http.get(f"api{path}"), path)
    check(document, http.get("api/workflows", params={"include_schema": "true"}), "/workflows")
    for workflow in ("write", "typed", "nobody"):
        check(document, http.get(f"api/workflows/{workflow}"), "/workflows/{workflow_id}")
        check(document, http.get(f"api/workflows/{workflow}/schema"), "/workflows/{workflow_id}/schema")
    check(document, http.get("api/workflows/typed/schema?format=json-schema"), "/workflows/{workflow_id}/schema")
    for body in (
        {"input": {"prompt": "x"}},
        {"input": {"prompt": "x"}, "output_only": True},
        {"input": {"prompt": "x"}, "stream": True},
        {"input": {"prompt": "hold"}, "wait_for_completion": False},
        {"input": {"prompt": "ask"}},
        {"input": {}},
        {"workflow_id": "nobody"},
        {"input": 3},
    ):
        check(document, http.post(runs, json=body), "/workflows/runs")
    check(document, failed, "/workflows/runs")
    check(document, http.post(runs, content=b"x", headers={"Content-Type": "text/plain"}), "/workflows/runs")
    check(document, http.post(runs, content=b"x" * 1_000_001), "/workflows/runs")
    for run_id in (done, held, asked, failed.json()["run_id"], "nobody"):
        for query in ("", "?output_only=true", "?unknown=1"):
            check(document, http.get(f"{runs}/{run_id}{query}"), "/workflows/runs/{run_id}")
            check(document, http.get(f"api/tasks/{run_id}{query}"), "/tasks/{run_id}")
    check(document, http.get(f"{runs}/{done}/events"), "/workflows/runs/{run_id}/events")
    check(document, http.get(f"{runs}/nobody/events"), "/workflows/runs/{run_id}/events")
    for run_id in (asked, done, "nobody"):
        check(document, http.post(f"{runs}/{run_id}/resume"), "/workflows/runs/{run_id}/resume")
        check(document, http.post(f"api/tasks/{run_id}/resume", json=[]), "/tasks/{run_id}/resume")
    for run_id in (held, done, "nobody"):
        check(document, http.delete(f"{runs}/{run_id}"), "/workflows/runs/{run_id}")
        check(document, http.post(f"{runs}/{run_id}/cancel"), "/workflows/runs/{run_id}/cancel")
        check(document, http.post(f"api/tasks/{run_id}/cancel"), "/tasks/{run_id}/cancel")
        check(document, http.post(f"{runs}/{run_id}/retry"), "/workflows/runs/{run_id}/retry")
