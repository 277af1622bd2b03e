"""More tiny models, of families that attend, count places or multiply in their own ways; all speak Llama's tokens."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import transformers
from transformers import BartConfig, BartForConditionalGeneration, MarianConfig, MarianMTModel

from . import tiny_tokenizers as tokenizers
from .tiny_weights import build, save

_GATED = {"num_hidden_layers": 2, "num_key_value_heads": 2, "intermediate_size": 128}
_HEAD = {"head_dim": 16, "tie_word_embeddings": False}

CAUSAL: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen3": ("Qwen3", _GATED | _HEAD),
    "mistral": ("Mistral", _GATED | {"sliding_window": 24, "tie_word_embeddings": False}),
    "gemma2": ("Gemma2", _GATED | _HEAD | {"sliding_window": 24, "query_pre_attn_scalar": 16}),
    "gemma3": ("Gemma3", _GATED | _HEAD | {"sliding_window": 24, "query_pre_attn_scalar": 16}),
    "opt": ("OPT", {"num_hidden_layers": 2, "ffn_dim": 128, "word_embed_proj_dim": 64}),
    "phi": ("Phi", {"num_hidden_layers": 2, "intermediate_size": 128}),
    "mixtral": ("Mixtral", _GATED | {"num_local_experts": 4}),
    "mamba": ("Mamba", {"num_hidden_layers": 2, "state_size": 8}),
    "bloom": ("Bloom", {"n_layer": 2, "n_head": 4, "tie_word_embeddings": False}),
}
"""By family: the beginning of its classes' names, and its config."""


def causal(path: Path, family: str, *, context: int = 512, seed: int = 6, eos_bias: float = 0) -> Path:
    """Write a causal model of a family; the other arguments are those of ``tiny_models``."""
    name, special = CAUSAL[family]
    tokenizer = tokenizers.save_llama(path, context)
    config = getattr(transformers, f"{name}{'Text' if family == 'gemma3' else ''}Config")(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 64,
            "num_attention_heads": 4,
            "max_position_embeddings": context,
            **_ends(tokenizer),
            **special,
        }
    )
    save(build(getattr(transformers, f"{name}ForCausalLM"), config, seed, eos_bias), path)
    return path


def bart(path: Path, *, context: int = 128, seed: int = 7, eos_bias: float = 0) -> Path:
    """BART: encoder-decoder with learned positions."""
    tokenizer = tokenizers.save_blenderbot(path, context)
    start = {"decoder_start_token_id": tokenizer.eos_token_id, "forced_eos_token_id": None}
    config = BartConfig(**_translating(tokenizer, context), **start)
    save(build(BartForConditionalGeneration, config, seed, eos_bias), path)
    return path


def marian(path: Path, *, context: int = 128, seed: int = 8, eos_bias: float = 0) -> Path:
    """Marian: encoder-decoder with places as sines, whose decoder starts with the padding."""
    tokenizer = tokenizers.save_blenderbot(path, context)
    start = {"decoder_start_token_id": tokenizer.pad_token_id, "forced_eos_token_id": None}
    config = MarianConfig(**_translating(tokenizer, context), **start)
    save(build(MarianMTModel, config, seed, eos_bias), path)
    return path


def _translating(tokenizer: Any, context: int) -> dict[str, Any]:
    return {
        "vocab_size": len(tokenizer),
        "d_model": 64,
        "encoder_layers": 2,
        "decoder_layers": 2,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 128,
        "decoder_ffn_dim": 128,
        "max_position_embeddings": context,
        **_ends(tokenizer),
    }


def _ends(tokenizer: Any) -> dict[str, Any]:
    return {name: getattr(tokenizer, name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


MAKERS: dict[str, Callable[..., Path]] = {
    **{family: partial(causal, family=family) for family in CAUSAL},
    "bart": bart,
    "marian": marian,
}
"""One of each."""
