"""The table of routes: it registers the handlers, and the OpenAPI document is made from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from mcnb.server import bodies, replies
from mcnb.server.handlers import about, run, runs, workflows
from mcnb.server.handlers.base import Handler, NothingHere

EVENTS = "text/event-stream"
ANY = "any"
"""In place of a model: whatever the workflow's output is."""


@dataclass(frozen=True)
class Operation:
    """What one method of a route does.

    Attributes
    ----------
    id : str
        Its name in the OpenAPI document.
    replies : mapping
        What is answered, by status: a model of ``mcnb.server.replies``, a list of one, several, ``EVENTS``, ``ANY``,
        or None for no body.
    errors : tuple of int
        The statuses that are answered with an ``ErrorBody``, besides those that every route has.
    query : type
        The model of its query.
    body : type or None
        The model of its body; a body may always be left out.
    headers : mapping of str to str
        Headers of the request that mean something, with what they mean.
    """

    id: str
    replies: Mapping[int, object]
    errors: tuple[int, ...] = ()
    query: type[BaseModel] = bodies.NoQuery
    body: type[BaseModel] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Route:
    """One address.

    Attributes
    ----------
    path : str
        Below the mount, like ``workflows/{workflow_id}``.
    handler : type
        Of the class ``Handler``; its docstrings describe the operations.
    operations : mapping of str to Operation
        By method.
    """

    path: str
    handler: type[Handler]
    operations: Mapping[str, Operation]


_KEY = {"Idempotency-Key": "A text of the caller's: the same key is the same run, however often it is sent."}
_LAST = {"Last-Event-ID": "The number of the last event seen; wins over `after`."}
_RUN = replies.RunBody
_TAKEN = (404, 409, 413, 415, 429, 507)
_OUTPUT = Operation("", {200: (_RUN, ANY), 202: _RUN, 409: _RUN}, (404,), bodies.OutputQuery)
_CANCEL = {200: _RUN, 202: _RUN}
_ANSWERED = {202: _RUN}

ROUTES = (
    Route(
        "workflows",
        workflows.WorkflowsHandler,
        {"GET": Operation("list_workflows", {200: [replies.WorkflowBody]}, (), bodies.WorkflowsQuery)},
    ),
    Route(
        "workflows/runs",
        runs.RunsHandler,
        {
            "GET": Operation("list_runs", {200: replies.RunList}, (), bodies.RunsQuery),
            "POST": Operation(
                "run",
                {200: (_RUN, ANY, EVENTS), 202: _RUN, 409: (_RUN, replies.ErrorBody), 500: (_RUN, replies.ErrorBody)},
                _TAKEN,
                body=bodies.RunRequestBody,
                headers=_KEY,
            ),
        },
    ),
    Route(
        "workflows/ready",
        about.ReadyHandler,
        {"GET": Operation("ready", {200: replies.ReadyBody, 503: (replies.ReadyBody, replies.ErrorBody)})},
    ),
    Route("workflows/openapi.json", about.OpenApiHandler, {"GET": Operation("openapi", {200: ANY})}),
    Route(
        "workflows/{workflow_id}",
        workflows.WorkflowHandler,
        {"GET": Operation("describe_workflow", {200: replies.WorkflowDetails}, (404,))},
    ),
    Route(
        "workflows/{workflow_id}/schema",
        workflows.SchemaHandler,
        {
            "GET": Operation(
                "describe_input", {200: (replies.WorkflowSchema, workflows.SCHEMA_TYPE)}, (404,), bodies.SchemaQuery
            )
        },
    ),
    Route(
        "workflows/runs/{run_id}",
        run.FinishedRunHandler,
        {
            "GET": Operation(
                "get_run", {200: (replies.RunDetails, ANY), 202: _RUN, 409: _RUN}, (404,), bodies.OutputQuery
            ),
            "DELETE": Operation("delete_run", {204: None}, (404, 409)),
        },
    ),
    Route(
        "workflows/runs/{run_id}/events",
        run.EventsHandler,
        {"GET": Operation("run_events", {200: EVENTS}, (404,), bodies.EventsQuery, headers=_LAST)},
    ),
    Route(
        "workflows/runs/{run_id}/cancel",
        run.CancelHandler,
        {"POST": Operation("cancel_run", _CANCEL, (404, 409, 413))},
    ),
    Route(
        "workflows/runs/{run_id}/resume",
        run.ResumeHandler,
        {"POST": Operation("resume_run", _ANSWERED, (404, 409, 413, 415, 507), body=bodies.ResumeBody)},
    ),
    Route(
        "workflows/runs/{run_id}/retry",
        run.RetryHandler,
        {"POST": Operation("retry_run", _ANSWERED, (404, 409, 413, 429, 507))},
    ),
    Route(
        "tasks/{run_id}",
        run.TaskHandler,
        {"GET": Operation("get_task", _OUTPUT.replies, _OUTPUT.errors, _OUTPUT.query)},
    ),
    Route(
        "tasks/{run_id}/cancel",
        run.CancelHandler,
        {"POST": Operation("cancel_task", _CANCEL, (404, 409, 413))},
    ),
    Route(
        "tasks/{run_id}/resume",
        run.ResumeHandler,
        {"POST": Operation("resume_task", _ANSWERED, (404, 409, 413, 415, 507), body=bodies.ResumeBody)},
    ),
    Route(
        "health",
        about.HealthHandler,
        {"GET": Operation("health", {200: replies.HealthBody, 503: (replies.HealthBody, replies.ErrorBody)})},
    ),
)

_NAME = re.compile(r"\{(\w+)\}")


def handlers(mount: str, extension: object) -> list[tuple[str, type[Handler], dict[str, object]]]:
    """Return what Tornado takes, for a mount like ``/api``; addresses below ours that are none come last."""
    start = "/" + re.escape(mount.strip("/")) + "/" if mount.strip("/") else "/"
    ours: list[tuple[str, type[Handler], dict[str, object]]] = []
    for route in sorted(ROUTES, key=lambda route: "{" in route.path):  # names first: `ready` is no workflow
        path = _NAME.sub(r"(?P<\1>[^/]+)", route.path.replace(".", r"\."))
        ours.append((f"{start}{path}/?", route.handler, {"extension": extension, "allowed": tuple(route.operations)}))
    none = {"extension": extension, "allowed": ()}
    return [*ours, (start + r"(?:workflows|tasks)/.*", NothingHere, none)]
