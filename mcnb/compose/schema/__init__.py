"""The schema of a compose file in its one shape, as pydantic models.

``base`` holds what all parts share; each of the other modules is one section of the file.
"""

from mcnb.compose.schema.action import (
    Action,
    ChatCompletionAction,
    GenerationParams,
    Message,
    TextGenerationAction,
    TextToTextAction,
)
from mcnb.compose.schema.component import (
    AnyComponent,
    ChatCompletionComponent,
    Component,
    OnDemand,
    TextGenerationComponent,
    TextToTextComponent,
)
from mcnb.compose.schema.controller import Controller
from mcnb.compose.schema.job import AnyJob, Call, ComponentJob, ForEachJob, JobBase, routes
from mcnb.compose.schema.options import EngineOptions
from mcnb.compose.schema.sources import HuggingFaceSource, LocalSource, ModelSource, PyPISource
from mcnb.compose.schema.workflow import ComposeFile, Workflow

__all__ = [
    "Action",
    "AnyComponent",
    "AnyJob",
    "Call",
    "ChatCompletionAction",
    "ChatCompletionComponent",
    "Component",
    "ComponentJob",
    "ComposeFile",
    "Controller",
    "EngineOptions",
    "ForEachJob",
    "GenerationParams",
    "HuggingFaceSource",
    "JobBase",
    "LocalSource",
    "Message",
    "ModelSource",
    "OnDemand",
    "PyPISource",
    "TextGenerationAction",
    "TextGenerationComponent",
    "TextToTextAction",
    "TextToTextComponent",
    "Workflow",
    "routes",
]
