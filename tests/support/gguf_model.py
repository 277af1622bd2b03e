"""A tiny Llama in one GGUF file, tokenizer and chat template included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
from transformers import LlamaConfig, LlamaForCausalLM

from .tiny_tokenizers import CHATML, byte_level
from .tiny_weights import build

START, END = "<|im_start|>", "<|im_end|>"


def gguf_llama(
    path: Path,
    *,
    name: str = "tiny-llama.gguf",
    quantization: str = "F16",
    context: int = 512,
    seed: int = 7,
    eos_bias: float = 0,
) -> Path:
    """Write `path/name`, a Llama with tied embeddings and a byte-level tokenizer (ids as in SmolLM2's files).

    Parameters
    ----------
    path : Path
        The folder; nothing else is put into it.
    quantization : str, optional
        A type of the `gguf` package for the matrices: "F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"...
    context : int, optional
        Tokens.
    eos_bias : float, optional
        Added to the logit of the end token.

    Returns
    -------
    Path
        The file.
    """
    vocabulary, merges = byte_level(first=("<|endoftext|>", START, END))
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=vocabulary[START],
        eos_token_id=vocabulary[END],
        pad_token_id=vocabulary[END],
    )
    model = build(LlamaForCausalLM, config, seed, eos_bias)
    path.mkdir(parents=True, exist_ok=True)
    writer = gguf.GGUFWriter(path / name, "llama")
    try:
        _describe(writer, config, vocabulary, merges)
        _add_tensors(writer, model, gguf.GGMLQuantizationType[quantization])
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return path / name


def _describe(
    writer: gguf.GGUFWriter, config: LlamaConfig, vocabulary: dict[str, int], merges: list[tuple[str, str]]
) -> None:
    writer.add_name("tiny llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads or config.num_attention_heads)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_vocab_size(config.vocab_size)
    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(list(vocabulary))
    writer.add_token_types([control if token.startswith("<|") else normal for token in vocabulary])
    writer.add_token_merges([f"{left} {right}" for left, right in merges])
    writer.add_bos_token_id(vocabulary[START])
    writer.add_eos_token_id(vocabulary[END])
    writer.add_unk_token_id(vocabulary["<|endoftext|>"])
    writer.add_pad_token_id(vocabulary[END])
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


def _add_tensors(writer: gguf.GGUFWriter, model: Any, kind: gguf.GGMLQuantizationType) -> None:
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.config.num_hidden_layers)
    for name, tensor in model.named_parameters():
        values = tensor.detach().float().numpy()
        if name.endswith(("q_proj.weight", "k_proj.weight")):
            heads = model.config.num_attention_heads if "q_proj" in name else model.config.num_key_value_heads
            values = _interleave(values, heads)
        stored = kind if values.ndim > 1 else gguf.GGMLQuantizationType.F32
        target = names.get_name(name, try_suffixes=(".weight",))
        assert target is not None, name
        writer.add_tensor(target, gguf.quantize(values, stored), raw_dtype=stored)


def _interleave(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows (2, half) of each head to (half, 2): GGUF stores the rotary pairs of Llama side by side."""
    halves = values.reshape(heads, 2, values.shape[0] // heads // 2, values.shape[1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))
