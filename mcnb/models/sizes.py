"""How large the parts of a model are, from its config alone: it is built without memory for its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcnb.models._compat import import_transformers
from mcnb.models.loaded import find_context_length
from mcnb.models.loading import in_our_words, model_class, read_config
from mcnb.models.matrices import PLAIN, weight_of
from mcnb.models.quantizing import divides
from mcnb.models.snapshot import CONFIG, Snapshot


@dataclass(frozen=True)
class Sizes:
    """The parts of a model, in numbers that each take as many bytes as its dtype has.

    Attributes
    ----------
    parameters : int
        Weights, shared ones counted once.
    matrices : int
        Those of them that multiply in the layers: what quantization makes smaller.
    matrix_rows : int
        Rows of these: each has a scale of its own when quantized.
    uneven : int
        Those of the matrices that four bits leave as they are; see ``quantizing.divides``.
    shared : int
        Those that are embeddings and the vocabulary's matrix in one: in memory twice when the matrix is packed.
    buffers : int
        Bytes that are the same for each dtype, such as masks.
    cached : int
        Keys and values of one token.
    hidden, widest, heads, vocabulary : int
        Of the layers: what one token takes between two of them, and within one at most; and scores of a token.
    context : int or None
        Tokens the model can see at once; None when there is no limit.
    whole_prompts : bool
        Whether a prompt is computed in one piece, as an encoder does.
    position_scores : bool
        Whether each pair of tokens has a number for each head in memory: models with relative positions.
    """

    parameters: int
    matrices: int
    matrix_rows: int
    uneven: int
    shared: int
    buffers: int
    cached: int
    hidden: int
    widest: int
    heads: int
    vocabulary: int
    context: int | None
    whole_prompts: bool
    position_scores: bool


def sizes_of(snapshot: Snapshot) -> Sizes:
    """Measure a model of which ``config.json`` is here.

    Raises
    ------
    ModelDamagedError, UnsafeModelError, UnsupportedModelError
    """
    transformers = import_transformers()
    import torch

    with in_our_words(snapshot, CONFIG):
        config = read_config(transformers, snapshot)
        with torch.device("meta"):
            model = model_class(transformers, config, snapshot).from_config(config)
        head = model.get_output_embeddings()
        found = [module for module in model.modules() if type(module).__name__ in PLAIN and module is not head]
        weights = list({id(module.weight): weight_of(module) for module in found}.values())
        text: Any = config.get_text_config(decoder=True)
        return Sizes(
            parameters=sum({id(weight): weight.numel() for weight in model.parameters()}.values()),
            matrices=sum(weight.numel() for weight in weights),
            matrix_rows=sum(max(weight.shape) for weight in weights),
            uneven=sum(weight.numel() for weight in weights if not divides(*weight.shape)),
            shared=head.weight.numel()
            if head is not None and head.weight is model.get_input_embeddings().weight
            else 0,
            buffers=sum(_bytes(buffer) for buffer in model.buffers()),
            cached=cache_values(config),
            hidden=int(text.hidden_size),
            widest=max((max(weight.shape) for weight in weights), default=int(text.hidden_size)),
            heads=int(getattr(text, "num_attention_heads", None) or 0),
            vocabulary=int(text.vocab_size),
            context=find_context_length(model, None),
            whole_prompts=bool(config.is_encoder_decoder),
            position_scores=bool(getattr(config, "relative_attention_num_buckets", None)),
        )


def _bytes(buffer: Any) -> int:
    """Return what a buffer takes at most: most of those with fractions stay float32 whatever the dtype."""
    return int(buffer.numel() * (4 if buffer.is_floating_point() else buffer.element_size()))


def cache_values(config: Any) -> int:
    """Return how many numbers the key/value cache holds for each token.

    Two (key and value) for each layer, key/value head and head dimension; an encoder-decoder model also caches those
    of its encoder's output.
    """
    text: Any = config.get_text_config(decoder=True)
    layers = int(getattr(text, "num_decoder_layers", None) or getattr(text, "num_hidden_layers", None) or 0)
    heads = getattr(text, "num_attention_heads", None)
    if not isinstance(heads, int) or not heads:
        return 0  # no attention: its state does not grow
    shared = int(getattr(text, "num_key_value_heads", None) or heads)
    head = int(getattr(text, "head_dim", None) or getattr(text, "d_kv", None) or text.hidden_size // heads)
    return int(2 * layers * shared * head * (2 if config.is_encoder_decoder else 1))
