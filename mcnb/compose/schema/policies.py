"""What a job does when it fails, and where it waits for a person."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mcnb.compose.schema.base import Part, Text, Tree
from mcnb.compose.schema.scalars import IS_INTEGER, SPAN, Duration, Id


class Retry(Part):
    """Try again after a failure."""

    max_attempt_count: Annotated[int, Field(ge=1, le=100), IS_INTEGER] = Field(
        default=1, description="Attempts, the first one included."
    )
    delay: Duration = Field(default=1, description="The wait before the second attempt. " + SPAN)
    backoff: Literal["fixed", "exponential"] = Field(
        default="fixed", description="Whether later waits are as long as the first, or each is twice the one before."
    )
    max_delay: Duration | None = Field(default=None, description="The longest wait. " + SPAN)


class OnError(Part):
    """What happens when the job fails in the end."""

    ignore: bool = Field(default=False, description="Go on without an output.")
    output: Tree = Field(default=None, description="What the job gives in place of its output.")
    to: Id | None = Field(default=None, description="The job to go on with.")


class Pause(Part):
    """When and with which words a run stops and waits for a person."""

    condition: Tree = Field(default=None, description="Stop only where this is true.")
    message: Text | None = Field(default=None, description="What the person is told.")
    metadata: Tree = Field(default=None, description="Anything, for the programs that show it.")


def _retry(value: Any) -> Any:
    return {"max_attempt_count": value} if isinstance(value, int) and not isinstance(value, bool) else value


def _on_error(value: Any) -> Any:
    return {"ignore": True} if value == "ignore" else value


def _pause(value: Any) -> Any:
    return {} if value is True else None if value is False else value


OptionalRetry = Annotated[Retry | None, BeforeValidator(_retry, json_schema_input_type=int | Retry | None)]
"""A number of attempts, or a mapping."""

OptionalOnError = Annotated[
    OnError | None, BeforeValidator(_on_error, json_schema_input_type=Literal["ignore"] | OnError | None)
]
"""``ignore``, or a mapping."""

_OptionalPause = Annotated[Pause | None, BeforeValidator(_pause, json_schema_input_type=bool | Pause | None)]


class Interrupt(Part):
    """Pause the run before or after the job."""

    before: _OptionalPause = Field(default=None, description="Show the job's input, to be edited.")
    after: _OptionalPause = Field(default=None, description="Show the job's output, to be edited.")
