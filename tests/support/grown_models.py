"""The tiny models of each architecture, grown to a size at which their memory can be measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSeq2SeqLM

from . import tiny_models

MAKERS: dict[str, Callable[..., Path]] = {
    "smollm3": tiny_models.smollm3,
    "gpt2_dialog": tiny_models.gpt2_dialog,
    "gpt_neo": tiny_models.gpt_neo,
    "codegen": tiny_models.codegen,
    "llama": tiny_models.llama,
    "blenderbot": tiny_models.blenderbot,
    "t5": tiny_models.t5,
}
"""One of each architecture."""

_LLAMA = {
    "hidden_size": 768,
    "intermediate_size": 2048,
    "num_hidden_layers": 8,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
}
_GPT2 = {"n_embd": 768, "n_layer": 8, "n_head": 12, "n_positions": 1024, "n_ctx": 1024}

CHANGES: dict[str, dict[str, Any]] = {
    "smollm3": {**_LLAMA, "no_rope_layers": [1, 1, 1, 0] * 2, "layer_types": ["full_attention"] * 8},
    "gpt2_dialog": _GPT2,
    "gpt_neo": {
        "hidden_size": 768,
        "num_layers": 8,
        "num_heads": 12,
        "attention_types": [[["global", "local"], 4]],
        "attention_layers": ["global", "local"] * 4,
    },
    "codegen": {**_GPT2, "rotary_dim": 32, "n_head": 16, "n_embd": 1024, "n_layer": 4},
    "llama": {**_LLAMA, "head_dim": 64, "max_position_embeddings": 1024},
    "blenderbot": {
        "d_model": 768,
        "encoder_layers": 2,
        "decoder_layers": 6,
        "encoder_ffn_dim": 3072,
        "decoder_ffn_dim": 3072,
        "encoder_attention_heads": 12,
        "decoder_attention_heads": 12,
        "max_position_embeddings": 1024,
    },
    "t5": {"d_model": 768, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_decoder_layers": 6, "num_heads": 12},
}
"""What of each config makes it some tens of millions of weights."""

VOCABULARY = 16_000
"""Tokens; the last ones mean nothing."""


def grown(name: str, path: Path, *, dtype: torch.dtype = torch.float32) -> Path:
    """Make a folder with a model of an architecture that has 100 to 300 MB of weights in float32."""
    MAKERS[name](path)
    file = path / "config.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    content |= {**CHANGES[name], "vocab_size": VOCABULARY, "dtype": str(dtype).removeprefix("torch.")}
    file.write_text(json.dumps(content), encoding="utf-8")
    for old in (*path.glob("model*.safetensors*"), *path.glob("pytorch_model*")):
        old.unlink()
    config = AutoConfig.from_pretrained(path)
    kind = AutoModelForSeq2SeqLM if config.is_encoder_decoder else AutoModelForCausalLM
    model = kind.from_config(config, dtype=dtype)
    settings = path / "generation_config.json"
    kept = settings.read_bytes() if settings.is_file() else None
    model.save_pretrained(path)
    if kept is not None:
        settings.write_bytes(kept)
    return path
