"""The routes, from the OpenAPI document that the server itself gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import mcnb
from mcnb.server.openapi import openapi
from tools.pages.kinds import bounds, kind
from tools.pages.text import code, table

_INTRODUCTION = """\
# HTTP

This page is made from the OpenAPI 3.1 document that every server gives at `api/workflows/openapi.json`
([the same document](openapi.json), for tools). [The server](../server.md) tells what the routes are for, what is kept
and who is kept out.

Every request carries a token: `Authorization: token TOKEN`, or `?token=TOKEN`. Bodies are JSON, forms or multipart.
"""

Data = Mapping[str, Any]


def document() -> dict[str, Any]:
    """Return the OpenAPI document, as a server at the root of its address gives it."""
    return openapi("/api", mcnb.__version__)


def page() -> str:
    """Return the page."""
    told = document()
    parts = [_INTRODUCTION, "## Routes\n"]
    for path, operations in told["paths"].items():
        for method, operation in operations.items():
            parts.append("\n".join(_operation(method.upper(), path, operation)))
    parts.append("## Bodies and replies\n")
    for name, schema in sorted(told["components"]["schemas"].items()):
        parts.append("\n".join(_model(name, schema)))
    return "\n".join(parts)


def _link(name: str) -> str:
    return f"[{name}](#{name.lower()})"


def _operation(method: str, path: str, operation: Data) -> Iterator[str]:
    yield f"### {method} {path.replace('{', '&#123;').replace('}', '&#125;')} {{ #{operation['operationId']} }}\n"
    yield f"{operation['summary']}.\n"
    if operation["parameters"]:
        parameters: list[tuple[str, ...]] = [
            (code(item["name"]), str(item["in"]), kind(item["schema"], _link), _limits(item["schema"]), _said(item))
            for item in operation["parameters"]
        ]
        yield table(["parameter", "in", "type", "range", "meaning"], parameters)
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        yield f"Body: {kind(schema, _link)}\n"
    rows = [
        (code(status), _content(response), str(response["description"]))
        for status, response in operation["responses"].items()
    ]
    yield table(["status", "reply", "when"], rows)


def _content(response: Data) -> str:
    shown = []
    for media, body in response.get("content", {}).items():
        if media == "application/json":
            shown.append(kind(body["schema"], _link) if body["schema"].get("description") is None else "any JSON")
        else:
            shown.append(code(media))
    return ", ".join(shown)


def _model(name: str, schema: Data) -> Iterator[str]:
    yield f"### {name}\n"
    yield f"{' '.join(schema.get('description', '').split())}\n"
    if "enum" in schema:
        yield f"One of {', '.join(map(code, schema['enum']))}.\n"
    rows = []
    for key, item in schema.get("properties", {}).items():
        default = "**required**" if key in schema.get("required", ()) else _default(item)
        rows.append((code(key), kind(item, _link), default, _limits(item), _said(item)))
    if rows:
        yield table(["field", "type", "default", "range", "meaning"], rows)


def _default(item: Data) -> str:
    value = item.get("default")
    return code(str(value).lower() if isinstance(value, bool) else value) if value is not None else ""


def _limits(item: Data) -> str:
    return bounds(item)


def _said(item: Data) -> str:
    return str(item.get("description", ""))
