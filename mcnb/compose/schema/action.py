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

_PROMPT = "The text that the model gets; a list of texts is a batch, and the output then a list too."

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
    num_beams: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=64)])] | None = Field(
        default=None, description="Texts that are searched side by side for the likeliest; 1 searches nothing."
    )
    length_penalty: Annotated[float | Template, ExpressionOr(Annotated[float, Field(ge=-100, le=100)])] | None = Field(
        default=None, description="With beams: above 0 prefers longer texts, below 0 shorter ones."
    )
    early_stopping: Annotated[bool | Literal["never"] | Template, ExpressionOr(bool | Literal["never"])] | None = Field(
        default=None, description="With beams: stop as soon as there are enough finished texts."
    )


class Action(Part):
    """What all tasks have."""

    id: Id = Field(default="__action__", description="The name that jobs call it by.")
    default: bool = Field(default=False, description="The one that is called when a job names none.")
    params: GenerationParams = Field(default=GenerationParams(), description="How the next token is chosen.")
    batch_size: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=4096)])] | None = Field(
        default=None, description="Texts of a job that are handed to the model at once; 16 unless given."
    )
    max_input_length: _Length | None = Field(default=None, description="Tokens of prompt; a longer prompt is refused.")
    max_output_length: _Length | None = Field(default=None, description="New tokens at most.")
    min_output_length: (
        Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, le=MAX_OUTPUT_TOKENS)])] | None
    ) = Field(default=None, description="New tokens at least: until then the text cannot end by itself.")
    num_return_sequences: (
        Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=1, le=MAX_RETURN_SEQUENCES)])] | None
    ) = Field(default=None, description="Texts for each prompt; with more than one the output is a list.")
    stop_sequences: Annotated[tuple[str | Template, ...] | Template, ExpressionOr(_StopSequences)] | None = Field(
        default=None, description="Texts before which the output ends; they are cut off."
    )
    seed: Annotated[int | Template, ExpressionOr(Annotated[int, Field(ge=0, lt=2**63)])] | None = Field(
        default=None, description="For the same text every time; drawn and recorded for each run unless given."
    )
    streaming: _Boolean = Field(default=False, description="Accepted for compatibility: every run can be streamed.")
    output: Tree = Field(
        default=None, description="What the action gives, from `${result}`; the text itself unless given."
    )


class TextGenerationAction(Action):
    """Continue a text."""

    prompt: TextOrTexts = Field(DEFAULT_PROMPT, validate_default=True, description=_PROMPT)
    return_full_text: bool | None = Field(
        default=None, description="Whether the output begins with the prompt; true for text-generation."
    )


class TextToTextAction(Action):
    """Turn a text into another one with an encoder-decoder model."""

    prompt: TextOrTexts = Field(DEFAULT_PROMPT, validate_default=True, description=_PROMPT)
    return_full_text: bool | None = Field(
        default=None, description="Whether the output begins with the prompt; true for text-generation."
    )


class Message(Part):
    """One turn of a conversation."""

    role: Annotated[str | Template, ExpressionOr(Literal["system", "user", "assistant", "tool", "developer"])] = Field(
        description="Who says it."
    )
    content: Tree = Field(description="What is said: a text, or what the model's chat template takes in its place.")


DEFAULT_MESSAGES: Any = [{"role": "user", "content": DEFAULT_PROMPT}]
"""What a chat without messages answers."""


class ChatCompletionAction(Action):
    """Answer a conversation."""

    messages: Annotated[list[Message], Several()] | Text = Field(
        DEFAULT_MESSAGES, validate_default=True, description="The conversation, or an expression that gives one."
    )
    thinking: _Boolean | None = Field(
        default=None, description="Whether a model that can think before it answers does; by default as it was trained."
    )
