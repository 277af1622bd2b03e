"""Whether a model can be computed segment by segment, and in which shapes: tried out against its own forward pass."""

from __future__ import annotations

import hashlib
from typing import Any

from mcnb.models.engine.adapters import adapt
from mcnb.models.engine.attention import NAME, Segment, UnfitError, attend
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.invariance import Shapes, find_shapes, knows_all_weights
from mcnb.models.engine.row_cache import RowCache
from mcnb.models.loaded import LoadedModel
from mcnb.models.measurements import measured_once

_CLOSE = 0.05
"""How far the scores may be from the model's own, relative to their spread: roundings differ, mistakes are larger."""

_NOISE = 2.0
"""And relative to how far the model's own are apart, when it computes the same in one pass and in two."""

_WAY = 3
"""Of computing; a higher one has all models tried out anew."""

_FIRST, _SECOND = 9, 5
"""Tokens of the two texts that are computed."""


def forward_for(loaded: LoadedModel) -> Forward | None:
    """Return what computes many sequences of a model in one pass, or None where that cannot be done.

    Encoder-decoder models, experts, recurrent layers and attention of other kinds are left to ``generate``. It is tried
    out once for each model, machine and release, and then kept: two processes must agree.
    """
    model = loaded.model
    if loaded.is_encoder_decoder or not knows_all_weights(model):
        return None
    _register()
    if not adapt(model) and not getattr(model, "_supports_attention_backend", False):
        return None
    forward = Forward(loaded, Shapes(1, 1))
    tile, most, forward.bytes_per_token = (
        int(number) for number in measured_once("engine", _key(loaded), 3, lambda: _tried(loaded, forward))
    )
    if not forward.bytes_per_token:
        return None
    forward.one_at_a_time = not tile
    forward.shapes = Shapes(tile or 1, most)
    return forward


def _register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def _key(loaded: LoadedModel) -> str:
    import transformers

    model, placement = loaded.model, loaded.placement
    config = hashlib.sha256(model.config.to_json_string(use_diff=False).encode()).hexdigest()[:16]
    what = (type(model).__name__, config, placement.device, placement.dtype, transformers.__version__, _WAY)
    return " ".join(map(str, what))


def _tried(loaded: LoadedModel, forward: Forward) -> tuple[int, int, int]:
    """Return the shapes' tile (0: no shapes) and most tokens, and the bytes of a token's keys and values (0: unfit)."""
    shapes = find_shapes(loaded.model)
    forward.shapes = shapes or Shapes(1, 512)
    try:
        cache = RowCache()
        found = _scores(forward, cache)
        fits = _agrees(loaded, found)
        while fits and shapes is not None and not _is_invariant(forward, found):
            larger = 2 * shapes.tile
            shapes = Shapes(larger, shapes.most) if larger <= shapes.most // 16 else None
            forward.shapes = shapes or forward.shapes
            found = _scores(forward, RowCache())
    except (UnfitError, TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError):
        return 0, 0, 0
    tile, most = (shapes.tile, shapes.most) if shapes is not None else (0, forward.shapes.most)
    return (tile, most, cache.bytes_per_token) if fits else (0, 0, 0)


def _texts(vocabulary: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (
        tuple((7 * place + 3) % vocabulary for place in range(_FIRST)),
        tuple((5 * place + 1) % vocabulary for place in range(_SECOND)),
    )


def _scores(forward: Forward, cache: RowCache, company: int = 0) -> Any:
    """Return the scores behind two texts, the last part of each computed apart: (2, vocabulary)."""
    first, second = _texts(forward.vocabulary)
    caches = [cache, *(RowCache() for _ in range(company + 1))]
    texts = [first, *[second] * (company + 1)]
    forward([Segment(one, 0, text[:4]) for one, text in zip(caches, texts, strict=True)], [])
    parts = [Segment(one, 4, text[4:]) for one, text in zip(caches, texts, strict=True)]
    return forward(parts, [_FIRST - 5, sum(len(part.tokens) for part in parts) - 1])


def _is_invariant(forward: Forward, found: Any) -> bool:
    """Whether the scores are the same in company, and alone."""
    import torch

    first, _ = _texts(forward.vocabulary)
    cache = RowCache()
    forward([Segment(cache, 0, first[:4])], [])
    alone = forward([Segment(cache, 4, first[4:])], [_FIRST - 5])
    return torch.equal(alone[0], found[0]) and all(
        torch.equal(_scores(forward, RowCache(), company), found) for company in (3, 12)
    )


def _agrees(loaded: LoadedModel, found: Any) -> bool:
    """Compare with what the model says of each text alone, in one pass and in two."""
    import torch

    model = loaded.model
    with torch.inference_mode():
        for scores, tokens in zip(found, _texts(found.shape[-1]), strict=True):
            ids = torch.tensor([tokens], device=loaded.placement.device)
            whole = model(input_ids=ids, use_cache=False).logits[0, -1].float()
            begun = model(input_ids=ids[:, :4], use_cache=True).past_key_values
            parts = model(input_ids=ids[:, 4:], past_key_values=begun, use_cache=True).logits[0, -1].float()
            allowed = max(_CLOSE * float(whole.max() - whole.min()), _NOISE * float((whole - parts).abs().max()))
            nearest = min(float((scores - own).abs().max()) for own in (whole, parts))
            if not (torch.isfinite(scores).all() and nearest <= allowed):
                return False
    return True
