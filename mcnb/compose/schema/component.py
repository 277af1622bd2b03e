"""``component``: a model and its actions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mcnb.compose.schema.action import Action, ChatCompletionAction, TextGenerationAction, TextToTextAction
from mcnb.compose.schema.base import Part, tag
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.scalars import IS_INTEGER, IS_NUMBER, Duration, Form, Id
from mcnb.compose.schema.sources import ModelSource

TASKS = ("text-generation", "chat-completion", "text-to-text")
DRIVERS = ("huggingface", "llamacpp", "vllm")

_DEVICES = "use auto, cpu, mps, cuda or cuda:0"


class OnDemand(Part):
    """Load when first used, and leave memory after a while without use."""

    priority: Annotated[int, IS_INTEGER] = 0
    idle_timeout: Duration = "300s"


class Quantization(Part):
    """Weights in fewer bits."""

    type: Literal["int8", "int4", "fp4", "nf4"]
    compute_dtype: Literal["float32", "float16", "bfloat16"] | None = None
    double_quant: bool = False


class PeftAdapter(Part):
    """A LoRA adapter laid over the model."""

    type: Literal["lora"] = "lora"
    name: str | None = None
    model: ModelSource
    weight: Annotated[float, Field(ge=-10, le=10), IS_NUMBER] = 1.0


def _quantization(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class Component(Part):
    """A model and how to load it."""

    id: Id = "__component__"
    type: Literal["model"] = "model"
    name: str | None = None
    title: str | None = None
    description: str | None = None
    default: bool = False
    driver: Literal["huggingface", "llamacpp", "vllm"] = "huggingface"
    model: ModelSource
    device: Annotated[str, Form(r"auto|cpu|mps|cuda(:[0-9]{1,3})?", "a device", _DEVICES)] = "auto"
    device_mode: Literal["auto", "single"] = "auto"
    precision: Literal["auto", "float32", "float16", "bfloat16"] = "auto"
    quantization: Annotated[
        Quantization | None,
        BeforeValidator(_quantization, json_schema_input_type=Literal["int8", "int4", "fp4", "nf4"] | Quantization),
    ] = None
    low_cpu_mem_usage: bool = True
    fast_tokenizer: bool = True
    allow_pickle: bool = Field(
        default=False, description="Load pickled weights (.bin). Only for repositories that you trust."
    )
    reproducible: bool = Field(
        default=True,
        description="Compute texts so that they repeat exactly. False is faster for encoder-decoder models.",
    )
    peft_adapters: Annotated[tuple[PeftAdapter, ...], Several()] = ()
    preload: bool | None = Field(default=None, description="Load as soon as the document is loaded.")
    on_demand: bool | OnDemand = False
    max_concurrent_count: Annotated[int, Field(ge=0), IS_INTEGER] = 0

    @property
    def all_actions(self) -> tuple[Action, ...]:
        """The actions, whatever the task."""
        return getattr(self, "actions", ())


class TextGenerationComponent(Component):
    """Continues texts. ``architecture: seq2seq`` is accepted; the model's own config decides."""

    task: Literal["text-generation"] = "text-generation"
    architecture: Literal["causal", "seq2seq"] | None = None
    actions: Annotated[tuple[TextGenerationAction, ...], Several()]


class ChatCompletionComponent(Component):
    """Answers conversations."""

    task: Literal["chat-completion"]
    actions: Annotated[tuple[ChatCompletionAction, ...], Several()]


class TextToTextComponent(Component):
    """Turns texts into others with an encoder-decoder model."""

    task: Literal["text-to-text"]
    architecture: Literal["seq2seq"] | None = None
    actions: Annotated[tuple[TextToTextAction, ...], Several()]


def _task(value: Any) -> str:
    return tag(value, "task", "text-generation")


AnyComponent = Annotated[
    Annotated[TextGenerationComponent, Tag("@text-generation")]
    | Annotated[ChatCompletionComponent, Tag("@chat-completion")]
    | Annotated[TextToTextComponent, Tag("@text-to-text")],
    Discriminator(
        _task,
        custom_error_type="task",
        custom_error_message="unknown task",
    ),
]
"""A component, told apart by its ``task``."""
