"""Replies: what the server says about runs, workflows and errors, as JSON; and which error has which status."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from mcnb import errors

if TYPE_CHECKING:
    from mcnb.server.store import StoredRun

State = Literal["pending", "processing", "interrupted", "cancelling", "cancelled", "completed", "failed"]

STATUS: tuple[tuple[type[errors.McnbError], int], ...] = (
    (errors.QueueFullError, 429),
    (errors.ServerError, 503),
    (errors.NotFoundError, 404),
    (errors.ConflictError, 409),
    (errors.DiskFullError, 507),
    (errors.KernelDiedError, 503),
    (errors.InvalidInputError, 400),
    (errors.ExpressionError, 400),
    (errors.NotSupportedError, 400),
    (errors.UnsupportedModelError, 400),
)
"""The first class that an error belongs to says its status; any other is 500."""

RETRY_AFTER = 5
"""Seconds that a client is asked to wait where the error says nothing."""


class _Reply(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ErrorText(_Reply):
    """What went wrong: the stable word and one sentence."""

    code: str
    message: str


class FieldError(_Reply):
    """One wrong field of a request."""

    field: str
    message: str


class ErrorBody(_Reply):
    """The reply to a request that was refused."""

    error: ErrorText
    errors: list[FieldError] = Field(default_factory=list, description="One entry for each wrong field.")


class RunBody(_Reply):
    """A run, as it is now. Times are seconds since 1970."""

    run_id: str
    task_id: str = Field(description="The same as run_id.")
    workflow_id: str
    status: State
    output: JsonValue = None
    error: ErrorText | None = None
    interruption: dict[str, JsonValue] | None = Field(None, description="What the run asks, while it is interrupted.")
    created: float
    started: float | None
    finished: float | None
    seed: int | None
    priority: str
    session_id: str | None = None
    metadata: dict[str, JsonValue] | None = None
    kernel_id: str | None = None
    retry_of: str | None = None
    events: int = Field(description="The number of its last event.")


class RunDetails(RunBody):
    """A run with its input and its record."""

    input: JsonValue = None
    record: dict[str, JsonValue] | None = None


class RunList(_Reply):
    """A page of runs, the newest first."""

    runs: list[RunBody]
    next_cursor: str | None = Field(description="What to give as `cursor` for the next page; null on the last one.")


class WorkflowField(_Reply):
    """One value that a workflow asks for."""

    name: str
    type: str
    required: bool
    default: JsonValue = None
    description: str | None = None
    options: list[str] | None = None
    minimum: float | None = None
    maximum: float | None = None
    annotations: dict[str, str] | None = None


class OutputField(_Reply):
    """One value of a workflow's output."""

    name: str


class WorkflowBody(_Reply):
    """A workflow that can be run."""

    workflow_id: str
    title: str | None
    default: bool = False
    description: str | None = None
    input: list[WorkflowField] | None = None
    output: list[OutputField] | None = None


class WorkflowSchema(_Reply):
    """A workflow and what it asks for."""

    workflow_id: str
    title: str | None
    description: str | None
    input: list[WorkflowField]
    output: list[OutputField]
    default: bool


class DocumentBody(_Reply):
    """The document of a workflow, access tokens blackened."""

    digest: str
    source: dict[str, JsonValue]
    env: list[str] = Field(description="The names of the environment variables that it uses.")
    workflow: str = Field(description="The workflow's id in it.")


class WorkflowDetails(WorkflowSchema):
    """A workflow, what it asks for, and its document."""

    document: DocumentBody


class HealthBody(_Reply):
    """Whether the server lives."""

    status: Literal["ok", "stopping"]


class ReadyBody(_Reply):
    """Whether the server can take a run now."""

    ready: bool
    queued: int
    running: int
    problems: list[str]
    kernel: JsonValue


def run_body(row: StoredRun, *, output: bool = True) -> dict[str, Any]:
    """Return a run as a ``RunBody``; without its output in lists."""
    body: dict[str, Any] = {
        "run_id": row.id,
        "task_id": row.id,
        "workflow_id": row.workflow,
        "status": row.state,
        "created": row.created,
        "started": row.started,
        "finished": row.finished,
        "seed": row.request.get("seed"),
        "priority": row.priority,
        "events": row.events,
    }
    if output and (row.state == "completed" or row.output is not None):
        body["output"] = row.output
    for name in ("error", "interruption", "session_id", "metadata", "kernel_id", "retry_of"):
        value = getattr(row, name)
        if value is not None:
            body[name] = value
    return body


def run_details(row: StoredRun) -> dict[str, Any]:
    """Return a run as a ``RunDetails``."""
    return {**run_body(row), "input": row.request.get("input"), "record": row.record}


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error."""
    return next((status for kind, status in STATUS if isinstance(error, kind)), 500)


def headers_of(error: BaseException) -> dict[str, str]:
    """Return what an error adds to the reply's headers."""
    if isinstance(error, errors.QueueFullError):
        return {"Retry-After": str(error.retry_after)}
    return {"Retry-After": str(RETRY_AFTER)} if status_of(error) == 503 else {}


_FOLDERS = re.compile(r"(?<![\w/.:])(?:[A-Za-z]:)?[/\\](?:[^/\\\s'\"]+[/\\])+")


def error_body(error: errors.McnbError) -> dict[str, Any]:
    """Return an error as an ``ErrorBody``; what is wrong with the server names files without their folders."""
    found = error.errors if isinstance(error, errors.InvalidInputError) else ()
    told = error.to_dict()
    if status_of(error) >= 500:
        told["message"] = _FOLDERS.sub("", told["message"])
    return {
        "error": told,
        "errors": [{"field": str(item.get("field", "")), "message": str(item.get("message", ""))} for item in found],
    }


def to_json(value: Any) -> bytes:
    """Return JSON as UTF-8, readable in any alphabet; half a surrogate pair, which UTF-8 has not, is escaped."""
    try:
        return json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return json.dumps(value).encode()
