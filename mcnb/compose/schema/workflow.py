"""``workflow``, and the file as a whole."""

from __future__ import annotations

from typing import Annotated

from mcnb.compose.schema.base import Part, Tree
from mcnb.compose.schema.component import AnyComponent
from mcnb.compose.schema.controller import Controller
from mcnb.compose.schema.job import AnyJob
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import Id


class Workflow(Part):
    """Jobs and how they depend on each other."""

    id: Id = "__workflow__"
    name: str | None = None
    title: str | None = None
    description: str | None = None
    default: bool = False
    private: bool = False
    jobs: Annotated[tuple[AnyJob, ...], Several()]
    output: Tree = None


class ComposeFile(Part):
    """A compose file in its one shape."""

    version: str | int | None = None
    name: str | None = None
    controller: Controller | None = None
    components: Annotated[tuple[AnyComponent, ...], Several()] = ()
    workflows: Annotated[tuple[Workflow, ...], Several()] = ()
