"""Workflows over HTTP: the list, the schema in the peer's shape and as JSON Schema, the document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.server.http.conftest import DOCUMENT, Serve, Served

FIELDS = [
    {"name": "prompt", "type": "text", "required": True},
    {"name": "n", "type": "integer", "required": False, "default": 1, "minimum": 1, "maximum": 9},
    {"name": "loud", "type": "boolean", "required": False, "default": False},
    {"name": "tone", "type": "select/calm,glad", "required": False, "default": "calm", "options": ["calm", "glad"]},
]


def test_the_list(server: Served) -> None:
    assert server.http.get("api/workflows").json() == [
        {"workflow_id": "write", "title": "Write", "default": True},
        {"workflow_id": "typed", "title": None},
    ]
    (write, typed) = server.http.get("api/workflows", params={"include_schema": "true"}).json()
    assert write["description"] == "Goes on with a text."
    assert write["output"] == [{"name": "generated"}]
    assert typed["input"] == FIELDS


def test_one_workflow(server: Served) -> None:
    schema = server.http.get("api/workflows/typed/schema").json()
    assert schema == {
        "workflow_id": "typed",
        "title": None,
        "description": None,
        "input": FIELDS,
        "output": [],
        "default": False,
    }
    details = server.http.get("api/workflows/typed").json()
    document = details.pop("document")
    assert document.keys() == {"digest", "source", "env", "workflow"}
    assert document["workflow"] == "typed"
    assert details == schema
    for path in ("api/workflows/tpyed", "api/workflows/tpyed/schema"):
        reply = server.http.get(path)
        assert reply.status_code == 404
        assert "typed" in reply.json()["error"]["message"]


def test_json_schema(server: Served) -> None:
    by_query = server.http.get("api/workflows/typed/schema", params={"format": "json-schema"})
    accept = "text/html;q=0.5, application/schema+json"
    by_accept = server.http.get("api/workflows/typed/schema", headers={"Accept": accept})
    assert by_query.json() == by_accept.json()
    assert by_query.headers["Content-Type"] == "application/schema+json"
    Draft202012Validator.check_schema(by_query.json())
    assert by_query.json()["required"] == ["prompt"]
    assert server.http.get("api/workflows/typed/schema", params={"format": "xml"}).status_code == 400
    fields = server.http.get("api/workflows/typed/schema", headers={"Accept": accept}, params={"format": "fields"})
    assert fields.json()["input"] == FIELDS


def test_a_file_that_changes_is_read_again(server: Served, folders: Path) -> None:
    changed = json.loads(json.dumps(DOCUMENT).replace("Goes on with a text.", "Changed."))
    (folders / "model-compose.yml").write_text(json.dumps(changed))
    assert server.http.get("api/workflows/write/schema").json()["description"] == "Changed."


def test_no_secret_leaves_with_a_document(serve: Serve, folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_TOKEN", "hf_from_environment")
    model = {"provider": "huggingface", "repository": "a/b", "token": "hf_written_down"}
    other = {**model, "token": "${env.MY_TOKEN}"}
    components = [
        {"id": name, "model": source, "text": "${input.prompt as text}"}
        for name, source in (("a", model), ("b", other))
    ]
    (folders / "model-compose.yml").write_text(
        json.dumps({"components": components, "workflow": {"id": "w", "job": {"component": "a"}}})
    )
    reply = serve().http.get("api/workflows/w")
    assert reply.status_code == 200
    assert "hf_" not in reply.text
    assert reply.json()["document"]["env"] == ["MY_TOKEN"]
