"""Weights for tiny models: random but well spread, and saved in any of the Hub's file formats."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

Weights = Literal["safetensors", "bin", "both"]

WRITERS = frozenset({"o_proj", "out_proj", "c_proj", "down_proj", "fc2", "fc_out", "o", "wo"})
"""Names of the modules that add to the hidden state, in all the architectures used here."""


def build(
    model_class: Callable[[Any], PreTrainedModel], config: PreTrainedConfig, seed: int, eos_bias: float = 0
) -> Any:
    """A model in evaluation mode whose logits have a standard deviation of about 2; the same for the same seed.

    The usual initialisation gives almost equal logits, whose order then hangs on rounding. Here the best token is
    clearly the best, so greedy decoding agrees between batch sizes and between caching or not.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = model_class(config)
        head = model.get_output_embeddings()
        spread = _spread(config)
        for name, module in model.named_modules():
            # What the layers write outweighs the embedding, or tied models would repeat the last token for ever.
            gain = 16 * spread if name.rsplit(".", 1)[-1] in WRITERS else 1
            if isinstance(module, nn.Embedding) or module is head:
                nn.init.normal_(module.weight, std=spread)
            elif isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=gain * module.in_features**-0.5)
            elif isinstance(module, Conv1D):
                nn.init.normal_(module.weight, std=gain * module.nx**-0.5)
    if eos_bias:
        _favour_end(model, eos_bias)
    return model.eval()


def save(
    model: Any,
    path: Path,
    *,
    weights: Weights = "safetensors",
    dtype: torch.dtype = torch.float32,
    shards: int = 1,
    config: dict[str, Any] | None = None,
) -> None:
    """Save a model as `path/*` in the given format.

    Parameters
    ----------
    model : PreTrainedModel
        Is converted to `dtype`.
    path : Path
        A folder.
    weights : {"safetensors", "bin", "both"}, optional
        `bin` is `pytorch_model.bin`, a pickled state dictionary.
    dtype : torch.dtype, optional
        The type of the stored weights.
    shards : int, optional
        Number of safetensors files; more than one come with an index.
    config : dict, optional
        Keys to put into `config.json`; None removes one.
    """
    model.to(dtype)
    stored = sum(tensor.nbytes for tensor in model.parameters())
    model.save_pretrained(path, max_shard_size=10**10 if shards == 1 else int(stored / (shards - 0.5)))
    if weights != "safetensors":
        torch.save(model.state_dict(), path / "pytorch_model.bin")
    if weights == "bin":
        (path / "model.safetensors").unlink()
    if config:
        file = path / "config.json"
        content = json.loads(file.read_text(encoding="utf-8")) | config
        content = {key: value for key, value in content.items() if value is not None}
        file.write_text(json.dumps(content, indent=2), encoding="utf-8")


def _favour_end(model: Any, bias: float) -> None:
    """Raise the logit of the end token by `bias` at every step (with RMS norms: by about that much)."""
    end, head = model.config.eos_token_id, model.get_output_embeddings()
    with torch.no_grad():
        if head.bias is not None:
            head.bias[end] += bias
        elif hasattr(model, "final_logits_bias"):
            model.final_logits_bias[0, end] += bias
        else:
            _hold_first_dimension(model)
            tied = model.config.tie_word_embeddings
            common = head.weight[1, 0].clone() if tied else torch.zeros(())
            head.weight[:, 0] = common
            head.weight[end, 0] = common + bias / _first_dimension(model)


def _hold_first_dimension(model: Any) -> None:
    """Make dimension 0 of the last hidden state the same whatever the input: a substitute for a bias."""
    decoder = model.decoder if model.config.is_encoder_decoder else model.base_model
    norm = next(module for name, module in decoder.named_children() if name in {"ln_f", "norm", "final_layer_norm"})
    embedding = model.get_input_embeddings().weight
    if getattr(norm, "bias", None) is not None:
        norm.weight[0], norm.bias[0] = 0, 1
        embedding[:, 0] = 0
        return
    embedding[:, 0] = 16 * _spread(model.config) * embedding.shape[1] ** 0.5  # as much as the rest of the norm
    for name, module in decoder.named_modules():
        if name.rsplit(".", 1)[-1] in WRITERS:
            module.weight[0] = 0


def _first_dimension(model: Any) -> float:
    """Dimension 0 of the last hidden state as the head sees it, on average."""
    ids = torch.arange(1, 17)[None]
    more = {"decoder_input_ids": ids} if model.config.is_encoder_decoder else {}
    output = model.eval()(ids, output_hidden_states=True, **more)
    states = output.decoder_hidden_states if model.config.is_encoder_decoder else output.hidden_states
    scale = states[-1].shape[-1] ** -0.5 if _scales_output(model.config) else 1.0
    return float(states[-1][..., 0].mean()) * scale


def _spread(config: PreTrainedConfig) -> float:
    """Standard deviation of the embeddings that gives logits one of 2."""
    return 2 if _scales_output(config) else 2 * config.hidden_size**-0.5


def _scales_output(config: PreTrainedConfig) -> bool:
    """Whether the model multiplies its last hidden state by width ** -0.5, as T5 with tied embeddings does."""
    return bool(getattr(config, "scale_decoder_outputs", False))
