"""Where ``%compose`` takes its document from. It is read anew for every run, so that edits take effect at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mcnb.compose import Document, Environment, Inputs, load_document
from mcnb.runtime import Compose, load


@dataclass(frozen=True)
class Source:
    """Files, or the body of a cell.

    Attributes
    ----------
    files : tuple of str
        Compose files; none means the one of the working directory.
    text : str or None
        The cell's body, in place of files.
    values : mapping
        What ``-e NAME=VALUE`` said.
    """

    files: tuple[str, ...] = ()
    text: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)

    def with_values(self, more: Mapping[str, str]) -> Source:
        """Return the source with further values of ``-e``."""
        return replace(self, values={**self.values, **more})

    def open(self) -> Compose:
        """Load the document for running it.

        Raises
        ------
        DocumentError
            With every problem found.
        """
        return load(*self.files, text=self.text, name="<cell>", env=self.values)

    def read(self) -> Document:
        """Load the document for looking at it; no model is touched.

        Raises
        ------
        DocumentError
            With every problem found.
        """
        return load_document(*self.files, text=self.text, name="<cell>", environment=Environment((), self.values))

    def chosen(self, workflow: str | None) -> tuple[Document, str]:
        """Return the document and the id of a workflow in it, or of the default one."""
        document = self.read()
        return document, document.workflow(workflow).id

    def workflows(self) -> tuple[str, ...]:
        """Return the ids of the workflows."""
        return tuple(workflow.id for workflow in self.read().workflows)

    def inputs(self, workflow: str | None) -> Inputs:
        """Return what a workflow asks for."""
        return self.read().inputs(workflow)
