"""How much memory a model needs, from its config alone: nothing is loaded and no weights are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.models._compat import import_transformers
from mcnb.models.control import Control
from mcnb.models.home import writing
from mcnb.models.loaded import find_context_length
from mcnb.models.loading import in_our_words, model_class, read_config
from mcnb.models.snapshot import CONFIG, Snapshot

WIDTHS = {"float32": 4, "bfloat16": 2}

DEFAULT_CONTEXT = 4096
"""Tokens of prompt and output that are counted where nobody says how many."""

FIXED_OVERHEAD = 350_000_000
"""Bytes of the Python process with torch and transformers, without a model (measured: 330-360 MB)."""


@dataclass(frozen=True)
class Estimate:
    """What a model needs.

    Attributes
    ----------
    name : str
        The model.
    parameters : int
        Number of weights.
    context : int
        Tokens the key/value cache was counted for.
    weights, cache, total : int
        Bytes, for `dtype`.
    dtype : str
        ``float32`` or ``bfloat16``.
    """

    name: str
    parameters: int
    context: int
    dtype: str
    weights: int
    cache: int

    @property
    def total(self) -> int:
        """Bytes in all, the Python process included."""
        return self.weights + self.cache + FIXED_OVERHEAD


def estimate(name: str, folder: Path, context: int | None = None) -> list[Estimate]:
    """Estimate a model's memory for each dtype.

    Parameters
    ----------
    name : str
        The model, for messages.
    folder : Path
        A folder with at least ``config.json``.
    context : int, optional
        Tokens of prompt and output together; by default 4,096, or the model's context when that is shorter.

    Returns
    -------
    list of Estimate
        One for each dtype.

    Raises
    ------
    ModelDamagedError, UnsafeModelError, UnsupportedModelError
    """
    transformers = import_transformers()
    import torch

    snapshot = Snapshot(name, "local", folder)
    with in_our_words(snapshot, CONFIG):
        config = read_config(transformers, snapshot)
        with torch.device("meta"):
            model = model_class(transformers, config, snapshot).from_config(config)
    count = sum({id(parameter): parameter.numel() for parameter in model.parameters()}.values())
    own = find_context_length(model, None) or DEFAULT_CONTEXT
    tokens = min(context or DEFAULT_CONTEXT, own)
    per_token = cache_values(config)
    return [
        Estimate(name, count, tokens, dtype, weights=count * width, cache=tokens * per_token * width)
        for dtype, width in WIDTHS.items()
    ]


def cache_values(config: Any) -> int:
    """Return how many numbers the key/value cache holds for each token.

    Two (key and value) for each layer, key/value head and head dimension; an encoder-decoder model also caches those
    of its encoder's output.
    """
    text: Any = config.get_text_config(decoder=True)
    layers = getattr(text, "num_decoder_layers", None) or text.num_hidden_layers
    heads = text.num_attention_heads
    shared = getattr(text, "num_key_value_heads", None) or heads
    head = getattr(text, "head_dim", None) or getattr(text, "d_kv", None) or text.hidden_size // heads
    return int(2 * layers * shared * head * (2 if config.is_encoder_decoder else 1))


def config_folder(source: Any, base: Path) -> Path:
    """Return a folder with a source's ``config.json``; of a repository of the hub, no more than that is fetched.

    Raises
    ------
    ModelError
    """
    from mcnb.compose.schema import HuggingFaceSource
    from mcnb.models.sources import describe, fetch

    if isinstance(source, HuggingFaceSource) and not source.filename:
        from mcnb.models.sources.hub import fetch_config

        with writing(describe(source)):
            return fetch_config(source, Control())
    return fetch(source, base, allow_pickle=True).folder
