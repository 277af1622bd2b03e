"""What a component asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mcnb.compose.schema import EngineOptions, ModelSource
from mcnb.compose.schema.component import PeftAdapter


@dataclass(frozen=True)
class ModelSpec:
    """What a component asks for.

    Attributes
    ----------
    source : ModelSource
        Where the weights come from.
    folder : Path
        Where relative paths start.
    device, precision : str
        As in the document; the precision is the kind of quantized weights where these are asked for.
    allow_pickle : bool
        Whether pickled weights may be used.
    driver : str
        The engine.
    options : EngineOptions
        What the document says to it alone.
    adapters : tuple of PeftAdapter
        Laid over the model.
    compute_dtype, double_quant
        Of quantized weights; see ``hardware.Placement``.
    """

    source: ModelSource
    folder: Path
    device: str = "auto"
    precision: str = "auto"
    allow_pickle: bool = False
    driver: str = "huggingface"
    options: EngineOptions = field(default_factory=EngineOptions)
    adapters: tuple[PeftAdapter, ...] = ()
    compute_dtype: str | None = None
    double_quant: bool = False
