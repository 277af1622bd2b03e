"""``action``: a prompt template and the generation parameters."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from mcnb.compose.expressions import Template
from mcnb.compose.schema.base import ExpressionOr, Part, Text, TextOrTexts, Tree
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import Id

DEFAULT_PROMPT = "${input.prompt as text}"
"""What a component without a prompt continues: files that name nothing but a model run too."""

MAX_OUTPUT_TOKENS = 1_000_000
MAX_RETURN_SEQUENCES = 8
MAX_STOP_SEQUENCES = 8
MAX_STOP_LENGTH = 128

_Boolean = Annotated[bool | Template, ExpressionOr(bool)]
_Length = Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=MAX_OUTPUT_TOKENS)])]
_StopSequence = Annotated[str | Template, ExpressionOr(Annotated[str, Field(min_length=1, max_length=MAX_STOP_LENGTH)])]
_StopSequences = Annotated[
    tuple[_StopSequence, ...],
    Several(MAX_STOP_SEQUENCES),
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str]),
]


class GenerationParams(Part):
    """``params``: how the next token is chosen. What is left out comes from the model, then from mcnb."""

    do_sample: _Boolean | None = Field(default=None, description="Sample (true) or take the likeliest token (false).")
    temperature: Annotated[float | Template, ExpressionOr(Annotated[float, Field(ge=0, le=100)])] | None = Field(
        default=None, description="Higher is more random; 0 takes the likeliest token."
    )
    top_k: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, le=1_000_000)])] | None = Field(
        default=None, description="Sample among the k likeliest tokens; 0 means all."
    )
    top_p: Annotated[float | Template, ExpressionOr(Annotated[float, Field(gt=0, le=1)])] | None = Field(
        default=None, description="Sample among the likeliest tokens that together have this probability."
    )
    repetition_penalty: Annotated[float | Template, ExpressionOr(Annotated[float, Field(gt=0, le=100)])] | None = Field(
        default=None, description="Above 1 discourages repetition."
    )
    num_beams: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=64)])] | None = None
    length_penalty: Annotated[float | Template, ExpressionOr(Annotated[float, Field(ge=-100, le=100)])] | None = None
    early_stopping: Annotated[bool | Literal["never"] | Template, ExpressionOr(bool | Literal["never"])] | None = None


class Action(Part):
    """What all tasks have."""

    id: Id = "__action__"
    default: bool = False
    params: GenerationParams = GenerationParams()
    batch_size: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=4096)])] | None = None
    max_input_length: _Length | None = Field(default=None, description="Tokens of prompt; a longer prompt is refused.")
    max_output_length: _Length | None = Field(default=None, description="New tokens at most.")
    min_output_length: (
        Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, le=MAX_OUTPUT_TOKENS)])] | None
    ) = None
    num_return_sequences: (
        Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=MAX_RETURN_SEQUENCES)])] | None
    ) = None
    stop_sequences: Annotated[tuple[str | Template, ...] | Template, ExpressionOr(_StopSequences)] | None = None
    seed: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, lt=2**63)])] | None = None
    streaming: _Boolean = False
    output: Tree = None


class TextGenerationAction(Action):
    """Continue a text."""

    prompt: TextOrTexts = Field(DEFAULT_PROMPT, validate_default=True)
    return_full_text: bool | None = Field(
        default=None, description="Whether the output begins with the prompt; true for text-generation."
    )


class TextToTextAction(Action):
    """Turn a text into another one with an encoder-decoder model."""

    prompt: TextOrTexts = Field(DEFAULT_PROMPT, validate_default=True)
    return_full_text: bool | None = Field(
        default=None, description="Whether the output begins with the prompt; true for text-generation."
    )


class Message(Part):
    """One turn of a conversation."""

    role: Annotated[str | Template, ExpressionOr(Literal["system", "user", "assistant", "tool", "developer"])]
    content: Tree


DEFAULT_MESSAGES: Any = [{"role": "user", "content": DEFAULT_PROMPT}]
"""What a chat without messages answers."""


class ChatCompletionAction(Action):
    """Answer a conversation."""

    messages: Annotated[list[Message], Several()] | Text = Field(DEFAULT_MESSAGES, validate_default=True)
    thinking: _Boolean | None = Field(
        default=None, description="Whether a model that can think before it answers does; by default as it was trained."
    )
