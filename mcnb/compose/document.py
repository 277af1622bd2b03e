"""Document: a loaded and checked compose file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from mcnb.compose.inference import infer_inputs
from mcnb.compose.inputs import Inputs
from mcnb.compose.schema import Action, Component, ComposeFile, Workflow
from mcnb.compose.schema.job import Call, ComponentJob
from mcnb.compose.suggest import listed, suggestion
from mcnb.errors import InvalidInputError, Problem

_Part = TypeVar("_Part", Component, Workflow, Action)


@dataclass(frozen=True)
class Document:
    """A loaded and checked compose file.

    Made by ``mcnb.compose.load_document``; never changes.

    Attributes
    ----------
    spec : ComposeFile
        The checked content, in one shape whatever the file's dialect.
    source : dict
        The content as written, environment values not yet put in; of several files, what they say together, in the
        common shape.
    folder : Path
        Where relative model paths start.
    files : tuple of str
        The files it was read from.
    env : dict
        The environment values its expressions mention, by name.
    warnings : tuple of Problem
        What is allowed and hardly meant, like a job that can never run.
    """

    spec: ComposeFile
    source: dict[str, Any]
    folder: Path
    files: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[Problem, ...] = field(default=(), repr=False, compare=False)

    @property
    def digest(self) -> str:
        """SHA-256 of the content as written, in hexadecimal."""
        text = json.dumps(self.source, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def workflows(self) -> tuple[Workflow, ...]:
        """The workflows; for a document of components alone, the one that calls its default component."""
        return self.spec.workflows or (Workflow(jobs=(ComponentJob(),)),)

    def workflow(self, name: str | None = None) -> Workflow:
        """Return a workflow by id, or the default one.

        Raises
        ------
        InvalidInputError
            When there is none of that id, or no default among several.
        """
        return _pick(self.workflows, name, "workflow")

    def component(self, name: str | None = None) -> Component:
        """Return a component by id, or the default one.

        Raises
        ------
        InvalidInputError
            As ``workflow``.
        """
        return _pick(self.spec.components, name, "component")

    def called(self, call: Call) -> tuple[Component, Action]:
        """Return the component and the action that a job calls."""
        component = call.component if isinstance(call.component, Component) else self.component(call.component)
        return component, _pick(component.all_actions, call.action, "action")

    def inputs(self, workflow: str | None = None) -> Inputs:
        """Return what a workflow asks its caller for."""
        return infer_inputs(self, self.workflow(workflow))


def _pick(parts: Sequence[_Part], name: str | None, what: str) -> _Part:
    known = {part.id: part for part in parts}
    if name is not None:
        if name not in known:
            given = [key for key in known if not key.startswith("__")]  # names that nobody gave help nobody
            hint = suggestion(name, given, otherwise=f"its {what} has no id; leave the name out")
            raise InvalidInputError(f"there is no {what} '{name}'", hint=hint)
        return known[name]
    default = next((part for part in parts if part.default), None)
    if default is not None:
        return default
    if len(parts) == 1:
        return parts[0]
    if not parts:
        raise InvalidInputError(f"the document has no {what}")
    raise InvalidInputError(f"there are several {what}s and none is the default", hint=f"name one: {listed(known)}")
