"""What is printed when a service is ready."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mcnb.compose import Document
from mcnb.compose.inputs import Input
from mcnb.compose.schema import Workflow
from mcnb.errors import InvalidInputError
from mcnb.service.endpoint import Endpoint, with_token
from mcnb.service.web_page import INSTALL, can_show_pages

_EXAMPLES: dict[str, Any] = {
    "integer": 1,
    "number": 1.0,
    "boolean": True,
    "list": [],
    "json": {},
}
_TEXT = "Once upon a time"


def announcement(
    document: Document, endpoint: Endpoint, log: Path, *, gateway: str | None = None, detached_as: str | None = None
) -> str:
    """Return the lines for the terminal.

    Parameters
    ----------
    document : Document
    endpoint : Endpoint
        With the ports that are in use.
    log : Path
    gateway : str, optional
        The kernel gateway where models run.
    detached_as : str, optional
        The service's name, when nobody can press Ctrl-C.
    """
    return "\n".join(_lines(document, endpoint, log, gateway, detached_as))


def _lines(
    document: Document, endpoint: Endpoint, log: Path, gateway: str | None, detached_as: str | None
) -> Iterator[str]:
    for warning in document.warnings:
        yield f"warning: {warning}"
    if not endpoint.token:
        yield "warning: no token is asked for: every program on this machine can start runs"
    if endpoint.any_origin:
        yield "note: 'origins: \"*\"' is not honoured; name the sites whose pages may send requests"
    yield f"{', '.join(document.files)} is served at {endpoint.api.address}{endpoint.base_path}"
    yield ""
    yield curl(document, endpoint)
    yield ""
    if endpoint.web is not None:
        if can_show_pages():
            yield f"form: {with_token(endpoint.web.address, endpoint.token)}"
        else:
            yield f"form: not served, Voila is missing; {INSTALL}"
    if gateway:
        yield f"models run at the kernel gateway {gateway}"
    yield f"log:  {log}"
    yield f"'mcnb down {detached_as}' stops it" if detached_as else "Ctrl-C stops"


def curl(document: Document, endpoint: Endpoint) -> str:
    """Return a command that runs the default workflow, or the first when none is the default; ready to paste."""
    workflow, is_default = _first(document)
    body: dict[str, Any] = {} if is_default else {"workflow_id": workflow.id}
    body["input"] = example_input(document, workflow)
    lines = [f"curl -X POST {endpoint.api.address}{endpoint.base_path}/workflows/runs"]
    if endpoint.token:
        lines.append(f"-H {shlex.quote(f'Authorization: token {endpoint.token}')}")
    lines.append('-H "Content-Type: application/json"')
    lines.append(f"-d {shlex.quote(json.dumps(body, ensure_ascii=False))}")
    return " \\\n  ".join(lines)


def example_input(document: Document, workflow: Workflow) -> dict[str, Any]:
    """Return an input that the workflow takes: what it requires; the first it asks for when it requires nothing."""
    fields = document.inputs(workflow.id).fields
    required = [field for field in fields if field.required]
    return {field.name: _example(field) for field in required or fields[:1]}


def _example(field: Input) -> Any:
    if field.default is not None:
        return field.default
    if field.options:
        return field.options[0]
    if "range" in field.annotations:
        low, high = field.range
        bound = low if low is not None else high
        return int(bound or 0) if field.type.name == "integer" else bound
    return _EXAMPLES.get(field.type.name, _TEXT)


def _first(document: Document) -> tuple[Workflow, bool]:
    try:
        found = document.workflow()
    except InvalidInputError:
        found = None
    offered = [workflow for workflow in document.workflows if not workflow.private]
    if found is not None and (found in offered or not offered):
        return found, True
    return offered[0], len(offered) == 1
