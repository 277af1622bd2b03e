"""``workflow``, and the file as a whole."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mcnb.compose.schema.base import Part, Tree
from mcnb.compose.schema.component import AnyComponent
from mcnb.compose.schema.controller import Controller
from mcnb.compose.schema.job import AnyJob
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import COMPATIBLE, Id


class Workflow(Part):
    """Jobs and how they depend on each other."""

    id: Id = Field(default="__workflow__", description="The name that runs ask for it by.")
    name: str | None = Field(default=None, description="A name for people.")
    title: str | None = Field(default=None, description="A heading for people; the form shows it.")
    description: str | None = Field(default=None, description="What it is for; the form shows it.")
    default: bool = Field(default=False, description="The one that runs when none is named.")
    private: bool = Field(default=False, description="Not offered over HTTP.")
    jobs: Annotated[tuple[AnyJob, ...], Several()] = Field(
        description="What is done; jobs that wait for nothing run side by side."
    )
    output: Tree = Field(
        default=None, description="What the workflow gives; the output of the jobs that nobody waits for unless given."
    )


class ComposeFile(Part):
    """A compose file in its one shape."""

    version: str | int | None = Field(default=None, description=COMPATIBLE)
    name: str | None = Field(default=None, description="A name for people.")
    controller: Controller | None = Field(default=None, description="Where `mcnb up` listens; nothing else reads it.")
    components: Annotated[tuple[AnyComponent, ...], Several()] = Field(
        default=(), description="The models and what can be asked of them."
    )
    workflows: Annotated[tuple[Workflow, ...], Several()] = Field(
        default=(), description="What can be run; without any, one that calls the default component."
    )
