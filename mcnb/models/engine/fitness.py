"""Whether a model can be computed segment by segment, and in which shapes: tried out against its own forward pass."""

from __future__ import annotations

import hashlib
from typing import Any

from mcnb.models.engine.adapters import adapt
from mcnb.models.engine.attention import NAME, Segment, UnfitError, attend
from mcnb.models.engine.forward import Forward
from mcnb.models.engine.invariance import Shapes, find_query_tile, find_shapes, knows_all_weights
from mcnb.models.engine.row_cache import RowCache
from mcnb.models.engine.slabs import Slabs
from mcnb.models.loaded import LoadedModel
from mcnb.models.measurements import measured_once

_CLOSE = 0.05
"""How far the scores may be from the model's own, relative to their spread: roundings differ, mistakes are larger."""

_NOISE = 2.0
"""And relative to how far the model's own are apart, when it computes the same in one pass and in two."""

_WAY = 6
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
    tile, most, forward.bytes_per_token, query_tile = (
        int(number) for number in measured_once("engine", _key(loaded), 4, lambda: _tried(loaded, forward))
    )
    if not forward.bytes_per_token:
        return None
    forward.one_at_a_time = not tile
    forward.shapes = Shapes(tile or 1, most)
    forward.slabs = Slabs(query_tile) if query_tile else None
    return forward


def _register() -> None:
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)


def _key(loaded: LoadedModel) -> str:
    import transformers

    model, placement = loaded.model, loaded.placement
    config = hashlib.sha256(model.config.to_json_string(use_diff=False).encode()).hexdigest()[:16]
    how = placement.dtype if loaded.quantized is None else loaded.quantized.way
    what = (type(model).__name__, config, placement.device, how, transformers.__version__, _WAY)
    return " ".join(map(str, what))


def _tried(loaded: LoadedModel, forward: Forward) -> tuple[int, int, int, int]:
    """Try a model out.

    Returns
    -------
    tile, most : int
        The shapes' tile (0: no shapes), and most tokens.
    bytes_per_token : int
        Of keys and values; 0: unfit.
    query_tile : int
        The queries with which one call of attention treats all sequences alike; 0: none.
    """
    shapes = find_shapes(loaded.model)
    forward.shapes = shapes or Shapes(1, 512)
    try:
        cache = RowCache()
        found = _scores(forward, cache)
        if shapes is not None and (query_tile := _query_tile(loaded, cache)):
            forward.slabs = Slabs(query_tile)
            found = _scores(forward, RowCache())
        fits = _agrees(loaded, found)
        while fits and shapes is not None and not _is_invariant(forward, found):
            larger = 2 * shapes.tile
            shapes = Shapes(larger, shapes.most) if larger <= shapes.most // 16 else None
            forward.shapes = shapes or forward.shapes
            found = _scores(forward, RowCache())
    except (UnfitError, TypeError, ValueError, AttributeError, KeyError, IndexError, RuntimeError):
        return 0, 0, 0, 0
    tile, most = (shapes.tile, shapes.most) if shapes is not None else (0, forward.shapes.most)
    query_tile = forward.slabs.query_tile if tile and forward.slabs is not None else 0
    return (tile, most, cache.bytes_per_token, query_tile) if fits else (0, 0, 0, 0)


def _query_tile(loaded: LoadedModel, cache: RowCache) -> int:
    """Try out all shapes of keys and values there are."""
    shapes = {tuple(tensor.shape for tensor in pair): pair for pair in cache.layers().values()}
    return find_query_tile(int(loaded.model.config.get_text_config().num_attention_heads), list(shapes.values()))


def _texts(vocabulary: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return (
        tuple((7 * place + 3) % vocabulary for place in range(_FIRST)),
        tuple((5 * place + 1) % vocabulary for place in range(_SECOND)),
    )


def _scores(forward: Forward, cache: RowCache, company: int = 0) -> Any:
    """Return the scores behind two texts, the last part of each computed apart: (2, vocabulary).

    The first one's is a part of a prompt; the second one's is one token, as of a text that grows.
    """
    first, second = _texts(forward.vocabulary)
    caches = [cache, *(RowCache() for _ in range(company + 1))]
    texts = [first, *[second] * (company + 1)]
    forward([Segment(one, 0, text[:4]) for one, text in zip(caches, texts, strict=True)], [])
    growing = [Segment(one, 4, second[4:], grows=True) for one in caches[1:]]
    scores = forward([*growing, Segment(cache, 4, first[4:])], [len(growing) + _FIRST - 5, 0])
    for one in caches:
        one.leave()
    return scores


def _is_invariant(forward: Forward, found: Any) -> bool:
    """Whether the scores are the same in company, and alone."""
    import torch

    for text, scores in zip(_texts(forward.vocabulary), found, strict=True):
        cache = RowCache()
        forward([Segment(cache, 0, text[:4])], [])
        alone = forward([Segment(cache, 4, text[4:], grows=len(text) == _SECOND)], [len(text) - 5])
        cache.leave()
        if not torch.equal(alone[0], scores):
            return False
    return all(torch.equal(_scores(forward, RowCache(), company), found) for company in (3, 12))


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
