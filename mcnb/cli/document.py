"""``mcnb validate``, ``mcnb schema``, ``mcnb render``."""

from __future__ import annotations

import json
from typing import Any

import click

from mcnb.cli.options import document_options
from mcnb.cli.run import as_text
from mcnb.compose import Document, document_schema, input_schema
from mcnb.compose.expressions import parse_template, render as render_tree
from mcnb.errors import InvalidInputError


@click.command()
@document_options
def validate(document: Document) -> None:
    """Check a compose file; every problem is told with its file, line and column."""
    for workflow in document.workflows:
        names = [f"{item.name}{'' if item.required else '?'}" for item in document.inputs(workflow.id)]
        click.echo(f"{workflow.id}: {', '.join(names) if names else 'no input'}")
    click.echo(f"{', '.join(document.files)}: valid")


@click.command()
@click.argument("workflow", required=False)
@click.option("--document", "whole", is_flag=True, help="The schema of compose files themselves, for editors.")
@click.pass_context
def schema(context: click.Context, workflow: str | None, whole: bool, **options: Any) -> None:
    """Print the JSON Schema of a workflow's input."""
    if whole:
        found = document_schema()
    else:
        found = context.invoke(_input_schema, workflow=workflow, **options)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))


@document_options
def _input_schema(document: Document, workflow: str | None) -> dict[str, Any]:
    return input_schema(document.inputs(workflow), document.workflow(workflow))


@click.command()
@click.argument("template")
@click.option("--sources", default="{}", metavar="JSON", help='What names stand for: \'{"input": {"n": 1}}\'.')
def render(template: str, sources: str) -> None:
    """Render a template with expressions, to try one out.

    \b
    mcnb render 'Hello ${input.name | you}' --sources '{"input": {}}'
    """
    try:
        values = json.loads(sources)
    except ValueError as error:
        raise InvalidInputError(f"--sources: not valid JSON: {error}") from error
    if not isinstance(values, dict):
        raise InvalidInputError("--sources has to be a JSON object of names to values")
    result = render_tree(parse_template(template), values)
    click.echo(as_text(result, as_json=not isinstance(result, str)), nl=isinstance(result, str))
