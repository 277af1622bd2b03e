"""OpenAPI 3.1, made from the table of routes and the models of bodies and replies."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mcnb.server.bodies import JSON, MULTIPART, URLENCODED
from mcnb.server.replies import ErrorBody
from mcnb.server.routes import ANY, EVENTS, ROUTES, Operation, Route

EVERYWHERE = (400, 403, 404, 405, 503)
"""Statuses that any route may answer with an error: a wrong query or token, another site, a server that stops."""

_REFERENCE = "#/components/schemas/{model}"
_MEANINGS = {
    200: "Done.",
    202: "Taken, and not over yet.",
    204: "Done; there is nothing to say.",
    400: "The request is wrong; `errors` says where.",
    403: "No valid token, or not allowed.",
    404: "There is no such thing, or the request comes from another site's page.",
    405: "This address does not take that method.",
    409: "The state of the run does not allow it.",
    413: "The body is too large.",
    415: "The body is of a type that cannot be read.",
    429: "Too many runs wait; Retry-After says when to come again.",
    500: "The run failed; its error says why.",
    503: "The server is stopping, or could not start.",
    507: "The disk is full.",
}


def openapi(server: str, version: str) -> dict[str, Any]:
    """Return the OpenAPI document of all routes.

    Parameters
    ----------
    server : str
        Where the routes are, like ``/base/api``.
    version : str
        Of the package.
    """
    models = sorted(set(_models()), key=lambda model: model.__name__)
    names, definitions = models_json_schema([(model, "validation") for model in models], ref_template=_REFERENCE)
    refs = {model: names[(model, "validation")] for model in models}
    paths = {
        f"/{route.path}": {
            method.lower(): _operation(route, method, operation, refs) for method, operation in route.operations.items()
        }
        for route in ROUTES
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "mcnb", "version": version, "description": "Runs of compose files in this Jupyter server."},
        "servers": [{"url": server.rstrip("/")}],
        "security": [{"token": []}, {"query": []}],
        "paths": paths,
        "components": {
            "schemas": definitions.get("$defs", {}),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "Authorization", "description": "`token TOKEN`"},
                "query": {"type": "apiKey", "in": "query", "name": "token"},
            },
        },
    }


def _operation(route: Route, method: str, operation: Operation, refs: dict[type[BaseModel], Any]) -> dict[str, Any]:
    described = inspect.getdoc(getattr(route.handler, method.lower())) or ""
    told: dict[str, Any] = {
        "operationId": operation.id,
        "summary": described.partition("\n")[0].rstrip("."),
        "tags": [str(route.handler.auth_resource)],
        "parameters": [*_path_parameters(route), *_query_parameters(operation), *_header_parameters(operation)],
        "responses": dict(_responses(operation, refs)),
    }
    if operation.body is not None:
        schema = refs[operation.body]
        told["requestBody"] = {"content": {kind: {"schema": schema} for kind in (JSON, URLENCODED, MULTIPART)}}
    return told


def _path_parameters(route: Route) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name, schema in operation.query.model_json_schema().get("properties", {}).items():
        kept = {key: value for key, value in schema.items() if key not in ("title", "description")}
        if "anyOf" in kept:  # a query has no null: it is left out
            kept = next(shape for shape in kept["anyOf"] if shape.get("type") != "null")
        parameter: dict[str, Any] = {"name": name, "in": "query", "schema": kept}
        if "description" in schema:
            parameter["description"] = schema["description"]
        yield parameter


def _header_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    shapes = {
        "Idempotency-Key": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]([ -~]*[!-~])?$"},
        "Last-Event-ID": {"type": "string", "pattern": "^[0-9]{1,18}$"},
    }
    for name, meaning in operation.headers.items():
        yield {"name": name, "in": "header", "description": meaning, "schema": shapes[name]}


def _responses(operation: Operation, refs: dict[type[BaseModel], Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    shapes = dict.fromkeys((*EVERYWHERE, *operation.errors), ErrorBody) | dict(operation.replies)
    for status in sorted(shapes):
        response: dict[str, Any] = {"description": _MEANINGS[status]}
        content = dict(_content(shapes[status], refs))
        if content:
            response["content"] = content
        if status == 429 or (status == 503 and operation.id != "health"):
            response["headers"] = {"Retry-After": {"schema": {"type": "integer"}}}
        yield str(status), response


def _content(shape: Any, refs: dict[type[BaseModel], Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    shapes = shape if isinstance(shape, tuple) else (shape,)
    bodies = [_schema(item, refs) for item in shapes if item is not None and item != ANY and not isinstance(item, str)]
    if ANY in shapes:
        bodies = [{"description": "A run, or the output alone: any JSON."}] if bodies else [{"type": "object"}]
    if bodies:
        yield JSON, {"schema": bodies[0] if len(bodies) == 1 else {"anyOf": bodies}}
    for kind in shapes:
        if isinstance(kind, str) and kind != ANY:
            yield kind, {"schema": {"type": "string"} if kind == EVENTS else {"type": "object"}}


def _schema(shape: Any, refs: dict[type[BaseModel], Any]) -> dict[str, Any]:
    return {"type": "array", "items": refs[shape[0]]} if isinstance(shape, list) else refs[shape]


def _models() -> Iterator[type[BaseModel]]:
    yield ErrorBody
    for route in ROUTES:
        for operation in route.operations.values():
            if operation.body is not None:
                yield operation.body
            for shape in operation.replies.values():
                yield from _models_in(shape)


def _models_in(shape: object) -> Iterator[type[BaseModel]]:
    if isinstance(shape, type) and issubclass(shape, BaseModel):
        yield shape
    elif isinstance(shape, Sequence) and not isinstance(shape, str):
        for item in shape:
            yield from _models_in(item)
