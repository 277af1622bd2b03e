"""What ``%compose`` says about a document: that it is valid, its schema, its picture."""

from __future__ import annotations

import json
from typing import Any

from mcnb.compose import Document, document_schema, input_schema
from mcnb.compose.graph import mermaid
from mcnb.runtime.wording import workflow_name

MERMAID = "text/vnd.mermaid"
"""What JupyterLab (4.1 and later) and nbconvert draw."""


class Sentence(str):
    """A sentence that is a cell's value, shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Schema(dict[str, Any]):
    """A JSON Schema that notebooks show as a tree."""

    @classmethod
    def of(cls, document: Document, workflow: str | None = None) -> Schema:
        """Return the schema of a workflow's input."""
        return cls(input_schema(document.inputs(workflow), document.workflow(workflow)))

    @classmethod
    def of_documents(cls) -> Schema:
        """Return the schema of compose files."""
        return cls(document_schema())

    @property
    def text(self) -> str:
        """The schema as it stands in a file."""
        return json.dumps(self, ensure_ascii=False, indent=2)

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        return {"application/json": dict(self), "text/plain": self.text}, {"application/json": {"expanded": True}}

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.text)  # IPython would go on with its own writing of dictionaries


class Drawing:
    """The picture of a workflow.

    Parameters
    ----------
    document : Document
        The loaded file.
    workflow : str, optional
        Which workflow; by default the default one.

    Attributes
    ----------
    text : str
        In Mermaid's language.
    """

    def __init__(self, document: Document, workflow: str | None = None) -> None:
        self.text = mermaid(document, document.workflow(workflow))

    def __repr__(self) -> str:
        return self.text

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, str]:
        fenced = f"```mermaid\n{self.text.rstrip()}\n```"
        return {MERMAID: self.text, "text/markdown": fenced, "text/plain": self.text}


def describe(document: Document) -> Sentence:
    """Say that a document is valid, what is doubtful in it, and what its workflows ask for."""
    lines = [*(f"warning: {warning}" for warning in document.warnings), f"{', '.join(document.files)}: valid"]
    for workflow in document.workflows:
        names = [f"{item.name}{'' if item.required else '?'}" for item in document.inputs(workflow.id)]
        lines.append(f"  {workflow_name(workflow)}: {', '.join(names) if names else 'no input'}")
    return Sentence("\n".join(lines))
