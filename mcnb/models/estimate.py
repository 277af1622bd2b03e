"""How much memory a model needs, from its config alone: nothing is loaded and no weights are fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.errors import ModelError, ModelNotFoundError
from mcnb.models._compat import import_transformers
from mcnb.models.snapshot import Snapshot

WIDTHS = {"float32": 4, "bfloat16": 2}

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
        Tokens of prompt and output together; by default the model's context, at most 4,096.

    Returns
    -------
    list of Estimate
        One for each dtype.
    """
    transformers = import_transformers()
    import torch

    snapshot = Snapshot(name, "local", folder)
    _ = snapshot.config  # a clear error when it is missing or broken
    try:
        config = transformers.AutoConfig.from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)
        auto = transformers.AutoModelForSeq2SeqLM if config.is_encoder_decoder else transformers.AutoModelForCausalLM
        with torch.device("meta"):
            model = auto.from_config(config)
    except Exception as error:
        raise ModelError(f"{name}: its config cannot be read ({' '.join(str(error).split())[:300]})") from error
    count = sum({id(parameter): parameter.numel() for parameter in model.parameters()}.values())
    own = getattr(config.get_text_config(), "max_position_embeddings", None) or 4096
    tokens = min(context or min(own, 4096), own) if isinstance(own, int) else context or 4096
    per_token = cache_values(config)
    return [
        Estimate(name, count, tokens, dtype, count * width, tokens * per_token * width) for dtype, width in WIDTHS.items()
    ]


def cache_values(config: Any) -> int:
    """Return how many numbers the key/value cache holds for each token.

    Two (key and value) for each layer, key/value head and head dimension; an encoder-decoder model also caches those
    of its encoder's output.
    """
    text = config.get_text_config(decoder=True)
    layers = getattr(text, "num_hidden_layers", None) or getattr(text, "decoder_layers", 0)
    heads = getattr(text, "num_attention_heads", None) or getattr(text, "decoder_attention_heads", 1)
    shared = getattr(text, "num_key_value_heads", None) or heads
    width = getattr(text, "hidden_size", None) or getattr(text, "d_model", 0)
    head = getattr(text, "head_dim", None) or getattr(text, "d_kv", None) or width // max(1, heads)
    return int(2 * layers * shared * head * (2 if config.is_encoder_decoder else 1))


def config_folder(source: Any, base: Path) -> Path:
    """Return a folder with a source's ``config.json``, fetching no more than that.

    Raises
    ------
    ModelNotFoundError
        When there is none.
    """
    from mcnb.compose.schema import HuggingFaceSource

    if isinstance(source, HuggingFaceSource) and not source.filename:
        from mcnb.models.sources.hub import fetch_config

        return fetch_config(source)
    from mcnb.models.sources import fetch

    snapshot = fetch(source, base, allow_pickle=True)
    if not (snapshot.folder / "config.json").is_file():
        raise ModelNotFoundError(f"{snapshot.name} has no config.json")
    return snapshot.folder
