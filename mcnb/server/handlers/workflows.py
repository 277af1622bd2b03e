"""Workflows: which there are and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jupyter_server.auth.decorator import authorized
from tornado import web

from mcnb.compose import Input, input_schema
from mcnb.runtime.redaction import without_tokens
from mcnb.server.bodies import NoQuery, SchemaQuery, WorkflowsQuery
from mcnb.server.handlers.base import Handler

if TYPE_CHECKING:
    from mcnb.server.catalog import Entry

SCHEMA_TYPE = "application/schema+json"


class WorkflowsHandler(Handler):
    """All workflows."""

    auth_resource = "workflows"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List the workflows."""
        query = self.query(WorkflowsQuery)
        entries = (await self.catalog()).entries
        self.reply([_brief(entry, schema=query.include_schema) for entry in entries])


class WorkflowHandler(Handler):
    """One workflow."""

    auth_resource = "workflows"

    @web.authenticated
    @authorized
    async def get(self, workflow_id: str) -> None:
        """Describe a workflow, with its document."""
        self.query(NoQuery)
        entry = (await self.catalog()).find(workflow_id)
        document = entry.document
        about = {
            "digest": document.digest,
            "source": without_tokens(document.source),
            "env": sorted(document.env),
            "workflow": entry.workflow.id,
        }
        self.reply({**_schema(entry), "document": about})


class SchemaHandler(Handler):
    """What one workflow asks for."""

    auth_resource = "workflows"

    @web.authenticated
    @authorized
    async def get(self, workflow_id: str) -> None:
        """Describe the input of a workflow: its fields, or JSON Schema where the client asks for it."""
        query = self.query(SchemaQuery)
        entry = (await self.catalog()).find(workflow_id)
        wants_json_schema = query.format == "json-schema" or (query.format is None and self.accepts(SCHEMA_TYPE))
        if wants_json_schema:
            self.reply(input_schema(_inputs(entry), entry.workflow), kind=SCHEMA_TYPE)
        else:
            self.reply(_schema(entry))


def _inputs(entry: Entry) -> Any:
    return entry.document.inputs(entry.workflow.id)


def _brief(entry: Entry, *, schema: bool) -> dict[str, Any]:
    if schema:
        return _schema(entry)
    brief: dict[str, Any] = {"workflow_id": entry.id, "title": entry.workflow.title or entry.workflow.name}
    return {**brief, "default": True} if entry.default else brief


def _schema(entry: Entry) -> dict[str, Any]:
    workflow = entry.workflow
    output = workflow.output if isinstance(workflow.output, Mapping) else {}
    return {
        "workflow_id": entry.id,
        "title": workflow.title or workflow.name,
        "description": workflow.description,
        "input": [_field(item) for item in _inputs(entry)],
        "output": [{"name": str(name)} for name in output],
        "default": entry.default,
    }


def _field(item: Input) -> dict[str, Any]:
    low, high = item.range
    field = {"name": item.name, "type": str(item.type), "required": item.required}
    told = {
        "default": item.default if item.default is not None else item.default_text,
        "description": item.description,
        "options": list(item.options) or None,
        "minimum": low,
        "maximum": high,
        "annotations": {k: v for k, v in item.annotations.items() if k not in ("description", "range")} or None,
    }
    return {**field, **{name: value for name, value in told.items() if value is not None}}
