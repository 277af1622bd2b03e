"""``mcnb validate``, ``mcnb schema``, ``mcnb graph``, ``mcnb render``."""

from __future__ import annotations

import json
from dataclasses import replace

import click

from mcnb.cli.options import OpenDocument, document_options, read_json
from mcnb.cli.run import as_text, print_output
from mcnb.compose import document_schema, input_schema
from mcnb.compose.expressions import parse_template
from mcnb.compose.expressions import render as render_tree
from mcnb.compose.graph import mermaid
from mcnb.errors import InvalidInputError
from mcnb.runtime.wording import workflow_name


@click.command()
@click.argument("paths", nargs=-1, metavar="[FILE]...")
@document_options
def validate(open_document: OpenDocument, paths: tuple[str, ...]) -> None:
    """Check a compose file; several are merged.

    Every problem is told with its file, line and column; what is allowed and hardly meant is a warning. Nothing is
    loaded or fetched.
    """
    document = replace(open_document, files=(*open_document.files, *paths))()
    for warning in document.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{', '.join(document.files)}: valid")
    for workflow in document.workflows:
        names = [f"{item.name}{'' if item.required else '?'}" for item in document.inputs(workflow.id)]
        click.echo(f"  {workflow_name(workflow)}: {', '.join(names) if names else 'no input'}")


@click.command()
@click.argument("workflow", required=False)
@document_options
@click.option("--document", "whole", is_flag=True, help="The schema of compose files themselves, for editors.")
def schema(open_document: OpenDocument, workflow: str | None, whole: bool) -> None:
    """Print the JSON Schema of a workflow's input."""
    if whole:
        found = document_schema()
    else:
        document = open_document()
        found = input_schema(document.inputs(workflow), document.workflow(workflow))
    click.echo(json.dumps(found, ensure_ascii=False, indent=2))


@click.command()
@click.argument("workflow", required=False)
@document_options
def graph(open_document: OpenDocument, workflow: str | None) -> None:
    """Print the picture of a workflow, in Mermaid's language."""
    document = open_document()
    click.echo(mermaid(document, document.workflow(workflow)), nl=False)


@click.command()
@click.argument("template")
@click.option(
    "--sources", default="{}", metavar="JSON", help="What names stand for; or @file, or @- for standard input."
)
def render(template: str, sources: str) -> None:
    """Render a template with expressions, to try one out.

    \b
    mcnb render 'Hello ${input.name | you}' --sources '{"input": {}}'
    """  # noqa: D301 - the \b is for click: it keeps the lines that follow
    values = read_json(sources, "--sources")
    if not isinstance(values, dict):
        raise InvalidInputError("--sources has to be a JSON object of names to values")
    result = render_tree(parse_template(template), {"input": {}, **values})
    print_output(as_text(result, as_json=False))
