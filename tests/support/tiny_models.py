"""Tiny models with random weights, real configuration classes and the file formats of their namesakes on the Hub.

Each function makes one model folder. The same arguments give the same bytes, whatever ran before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import (
    BlenderbotConfig,
    BlenderbotForConditionalGeneration,
    CodeGenConfig,
    CodeGenForCausalLM,
    GenerationConfig,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerBase,
    SmolLM3Config,
    SmolLM3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

from . import tiny_tokenizers as tokenizers
from .damage import DAMAGES, REMOTE_CODE_RAN, broken
from .gguf_model import gguf_llama
from .poet import poem_gpt2, reciter
from .tiny_weights import Weights, build, save

__all__ = [
    "DAMAGES",
    "REMOTE_CODE_RAN",
    "blenderbot",
    "broken",
    "codegen",
    "gguf_llama",
    "gpt2_dialog",
    "gpt_neo",
    "llama",
    "poem_gpt2",
    "reciter",
    "smollm3",
    "t5",
]


def smollm3(
    path: Path, *, context: int = 65536, seed: int = 1, eos_bias: float = 0, dtype: torch.dtype = torch.bfloat16
) -> Path:
    """SmolLM3: safetensors in two shards with an index, bf16, a chat template that writes the date and thinks.

    Parameters
    ----------
    path : Path
        The folder to write; also the return value. So in all of these functions.
    context : int, optional
        Tokens the configuration says the model can take. So in all of these functions.
    seed : int, optional
        Another seed, other weights. So in all of these functions.
    eos_bias : float, optional
        What to add to the logit of the end token. At 0 a random model hardly ever stops; 4 makes it stop after some
        tens of tokens when sampling, 50 at once. So in all of these functions.
    dtype : torch.dtype, optional
        Type of the stored weights. So where it is a parameter.
    """
    tokenizer = tokenizers.save_chatml(path, context)
    config = SmolLM3Config(
        **_size(tokenizer),
        num_hidden_layers=4,  # every fourth has no rotary embedding
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=context,
        rope_parameters={"rope_type": "default", "rope_theta": 5_000_000.0},
        **_ends(tokenizer) | {"bos_token_id": tokenizer.convert_tokens_to_ids("<|begin_of_text|>")},
    )
    model = build(SmolLM3ForCausalLM, config, seed, eos_bias)
    model.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=config.eos_token_id,
        pad_token_id=config.pad_token_id,
        do_sample=True,
        temperature=0.6,
        top_p=0.95,
    )
    save(model, path, dtype=dtype, shards=2)
    return path


def gpt2_dialog(
    path: Path,
    weights: Weights = "safetensors",
    *,
    context: int = 1024,
    seed: int = 5,
    eos_bias: float = 0,
    dtype: torch.dtype = torch.float16,
) -> Path:
    """DialoGPT: GPT-2 in fp16 with no word of it in `config.json`, no pad token, `vocab.json` and `merges.txt` only.

    Parameters
    ----------
    weights : {"safetensors", "bin", "both"}, optional
        The large one is `bin` only, the small one has both.
    """
    tokenizer = tokenizers.save_gpt2_files(path, context, tokenizers.CONCATENATED_TURNS)
    model = build(GPT2LMHeadModel, _gpt2_config(tokenizer, context), seed, eos_bias)
    conversational = {"conversational": {"max_length": 1000}}
    save(
        model,
        path,
        weights=weights,
        dtype=dtype,
        config={"dtype": None, "n_ctx": context, "task_specific_params": conversational},
    )
    return path


def gpt_neo(
    path: Path, weights: Weights = "safetensors", *, context: int = 2048, seed: int = 4, eos_bias: float = 0
) -> Path:
    """GPT-Neo: fp32, no pad token, no `tokenizer.json`, global and local attention in turns."""
    tokenizer = tokenizers.save_gpt2_files(path, context)
    config = GPTNeoConfig(
        **_size(tokenizer),
        num_layers=2,
        attention_types=[[["global", "local"], 1]],
        window_size=min(256, context),
        max_position_embeddings=context,
        **_ends(tokenizer),
    )
    model = build(GPTNeoForCausalLM, config, seed, eos_bias)
    save(model, path, weights=weights, config={"dtype": None})
    return path


def codegen(path: Path, weights: Weights = "bin", *, context: int = 2048, seed: int = 7, eos_bias: float = 0) -> Path:
    """CodeGen: `pytorch_model.bin` only, fp16, no pad token, more logits than tokens (the last ids mean nothing)."""
    tokenizer = tokenizers.save_codegen(path, context)
    config = CodeGenConfig(
        **_size(tokenizer) | {"vocab_size": len(tokenizer) + 15},
        n_layer=2,
        n_positions=context,
        n_ctx=context,
        rotary_dim=8,
        tie_word_embeddings=False,
        **_ends(tokenizer),
    )
    model = build(CodeGenForCausalLM, config, seed, eos_bias)
    save(model, path, weights=weights, dtype=torch.float16)
    return path


def blenderbot(path: Path, weights: Weights = "bin", *, context: int = 128, seed: int = 7, eos_bias: float = 0) -> Path:
    """Blenderbot: encoder-decoder, `pytorch_model.bin` only, fp16, and a generation configuration with ten beams."""
    tokenizer = tokenizers.save_blenderbot(path, context)
    config = BlenderbotConfig(
        vocab_size=len(tokenizer),
        d_model=64,
        encoder_layers=1,
        decoder_layers=2,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        encoder_ffn_dim=128,
        decoder_ffn_dim=128,
        max_position_embeddings=context,
        decoder_start_token_id=tokenizer.bos_token_id,
        forced_eos_token_id=None,  # belongs to the generation configuration
        **_ends(tokenizer),
    )
    model = build(BlenderbotForConditionalGeneration, config, seed, eos_bias)
    model.generation_config = GenerationConfig(
        num_beams=10,
        min_length=min(20, context // 4),
        max_length=min(60, context),
        length_penalty=0.65,
        no_repeat_ngram_size=3,
        encoder_no_repeat_ngram_size=3,
        decoder_start_token_id=tokenizer.bos_token_id,
        forced_eos_token_id=tokenizer.eos_token_id,
        **_ends(tokenizer),
    )
    save(model, path, weights=weights, dtype=torch.float16)
    return path


def llama(
    path: Path,
    weights: Weights = "safetensors",
    *,
    context: int = 512,
    seed: int = 6,
    eos_bias: float = 0,
    dtype: torch.dtype = torch.float32,
    shards: int = 1,
    chat: bool = False,
    end_tokens: int = 1,
) -> Path:
    """Llama: the general causal model, with SentencePiece semantics (`▁`, byte fallback, no pad token).

    Parameters
    ----------
    shards : int, optional
        1 or 2 safetensors files.
    chat : bool, optional
        Give it a ChatML template.
    end_tokens : int, optional
        How many end tokens its generation configuration lists: the last ids of the vocabulary after `</s>`.
    """
    tokenizer = tokenizers.save_llama(path, context, tokenizers.CHATML if chat else None)
    config = LlamaConfig(
        **_size(tokenizer),
        num_hidden_layers=2,
        num_key_value_heads=2,
        intermediate_size=128,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        **_ends(tokenizer),
    )
    model = build(LlamaForCausalLM, config, seed, eos_bias)
    if end_tokens > 1:
        others = range(len(tokenizer) - end_tokens + 1, len(tokenizer))
        model.generation_config.eos_token_id = [tokenizer.eos_token_id, *others]
    save(model, path, weights=weights, dtype=dtype, shards=shards)
    return path


def t5(path: Path, weights: Weights = "safetensors", *, context: int = 512, seed: int = 6, eos_bias: float = 0) -> Path:
    """T5: encoder-decoder with relative positions and a Unigram tokenizer."""
    tokenizer = tokenizers.save_t5(path, context)
    old_names = {"n_positions": context, "decoder_start_token_id": tokenizer.pad_token_id}
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,  # as many as in the decoder: transformers 5.23 sizes its cache by the encoder
        num_decoder_layers=2,
        num_heads=4,
        **_ends(tokenizer) | old_names,
    )
    save(build(T5ForConditionalGeneration, config, seed, eos_bias), path, weights=weights)
    return path


def _size(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {"vocab_size": len(tokenizer), "hidden_size": 64, "num_attention_heads": 4}


def _ends(tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    return {name: getattr(tokenizer, name) for name in names}


def _gpt2_config(tokenizer: PreTrainedTokenizerBase, context: int) -> GPT2Config:
    return GPT2Config(**_size(tokenizer), n_layer=2, n_positions=context, **_ends(tokenizer))
