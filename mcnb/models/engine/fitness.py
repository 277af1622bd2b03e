"""Whether a model can be computed segment by segment: tried out against its own forward pass."""

from __future__ import annotations

from typing import Any

from mcnb.models.engine.adapters import adapt
from mcnb.models.engine.attention import NAME, Segment, UnfitError, attend
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.invariance import Shapes, find_shapes, knows_all_weights
from mcnb.models.engine.row_cache import RowCache
from mcnb.models.loaded import LoadedModel

_CLOSE = 0.05
"""How far the scores may be from the model's own, relative to their spread: roundings differ, mistakes are larger."""


def forward_for(loaded: LoadedModel) -> Forward | None:
    """Return what computes many sequences of a model in one pass, or None where that cannot be done.

    Encoder-decoder models, experts, recurrent layers and attention of other kinds are left to ``generate``.
    """
    model = loaded.model
    if loaded.is_encoder_decoder or not knows_all_weights(model):
        return None
    _register()
    if not adapt(model) and not getattr(model, "_supports_attention_backend", False):
        return None
    shapes = find_shapes(model)
    forward = Forward(loaded, shapes or Shapes(1, 1))
    forward.one_at_a_time = shapes is None
    return forward if _agrees(loaded, forward) else None


def _register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def _agrees(loaded: LoadedModel, forward: Forward) -> bool:
    """Compare two prompts, one of them in two parts, with what the model says of each alone."""
    import torch

    vocabulary = loaded.model.get_output_embeddings().weight.shape[0]
    first = tuple((7 * place + 3) % vocabulary for place in range(9))
    second = tuple((5 * place + 1) % vocabulary for place in range(4))
    try:
        caches = RowCache(), RowCache()
        forward([Segment(caches[0], 0, first[:5]), Segment(caches[1], 0, second)], [])
        parts = [Segment(caches[0], 5, first[5:]), Segment(caches[1], 4, second[:1])]
        forward.bytes_per_token = caches[0].bytes_per_token
        found = forward(parts, [len(first) - 6, len(first) - 5])
    except (UnfitError, TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError):
        return False
    with torch.inference_mode():
        for scores, tokens in zip(found, (first, (*second, second[0])), strict=True):
            ids = torch.tensor([tokens], device=loaded.placement.device)
            own = loaded.model(input_ids=ids, use_cache=False).logits[0, -1].float()
            if not _close(scores, own):
                return False
    return True


def _close(found: Any, own: Any) -> bool:
    import torch

    spread = float((own.max() - own.min()).clamp(min=1e-6))
    return bool(torch.isfinite(found).all()) and float((found - own).abs().max()) <= _CLOSE * spread
