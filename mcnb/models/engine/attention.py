"""Attention of many sequences in one forward pass: each segment looks at its own keys and values, and nothing else.

The tokens of all sequences stand in one row of shape (1, tokens); every layer but attention treats them one by one.
The calls of attention have the shapes they would have if the sequence were alone, so their arithmetic is the same.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from mcnb.models.engine.row_cache import RowCache
from mcnb.models.engine.slab_attention import SlabAttention
from mcnb.models.engine.slabs import Slabs

NAME = "mcnb_rows"
"""Under which transformers finds this attention."""

_pass = threading.local()


class UnfitError(Exception):
    """A model's attention wants something that is not done here."""


@dataclass(frozen=True)
class Segment:
    """Consecutive tokens of one sequence in a forward pass.

    Attributes
    ----------
    cache : RowCache or None
        Of the sequence; None for tokens that only fill the shape.
    begin : int
        The place of the first token in its sequence.
    tokens : tuple of int
        Their ids.
    grows : bool
        Whether it is a token behind the prompt.
    """

    cache: RowCache | None
    begin: int
    tokens: tuple[int, ...]
    grows: bool = False

    @property
    def end(self) -> int:
        """The place behind the last token."""
        return self.begin + len(self.tokens)


@dataclass
class _Pass:
    """The segments of a pass, how many of the first ones grow, who attends for these, and the masks made so far."""

    segments: tuple[Segment, ...]
    singles: int
    growing: SlabAttention | None
    masks: dict[Any, Any] = field(default_factory=dict)


@contextlib.contextmanager
def attending(segments: tuple[Segment, ...], slabs: Slabs | None = None) -> Iterator[None]:
    """Within the block, forward passes of this thread are about these segments.

    Parameters
    ----------
    segments : tuple of Segment
        Those of sequences that grow first.
    slabs : Slabs, optional
        Where the keys and values of sequences that grow are put, so that one call attends for many.
    """
    singles = 0
    while singles < len(segments) and segments[singles].grows:
        singles += 1
    growing = SlabAttention(segments[:singles], slabs) if slabs is not None and singles else None
    _pass.now = _Pass(segments, singles, growing)
    try:
        yield
    finally:
        _pass.now = None


def is_attending() -> bool:
    """Whether this thread is within such a block."""
    return getattr(_pass, "now", None) is not None


_IGNORED = {"is_causal", "position_ids", "cache_position", "use_cache", "output_attentions", "output_hidden_states"}


def attend(
    module: Any,
    query: Any,
    key: Any,
    value: Any,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[Any, None]:
    """Attend as transformers' attention functions do, for the segments of the pass.

    Parameters
    ----------
    module : torch.nn.Module
        The layer's attention; its ``layer_idx`` says which.
    query, key, value : torch.Tensor
        Of shape (1, heads, tokens, head size), all segments one behind the other.
    attention_mask : None
        The segments say what is seen.
    dropout : float
        0.
    scaling : float, optional
        Of the scores.
    sliding_window : int, optional
        How many of the last tokens are seen.

    Returns
    -------
    torch.Tensor
        Of shape (1, tokens, heads, head size).

    Raises
    ------
    UnfitError
        For anything else that a model wants of its attention.
    """
    wanted = sorted(name for name, given in others.items() if given is not None and name not in _IGNORED)
    if wanted or attention_mask is not None or dropout or not is_attending():
        raise UnfitError(f"attention with {', '.join(wanted) or 'a mask of its own'}")
    return rows(module.layer_idx, query, key, value, scaling, sliding_window), None


def rows(layer: int, query: Any, key: Any, value: Any, scaling: float | None, window: int | None = None) -> Any:
    """Attend segment by segment; see ``attend``."""
    import torch

    now: _Pass = _pass.now
    at = now.singles
    parts = []
    if at:
        first = query.narrow(2, 0, at), key.narrow(2, 0, at), value.narrow(2, 0, at)
        if now.growing is not None:
            parts.append(now.growing.attend(layer, *first, scaling, window))
        else:
            parts.append(_each(layer, now.segments[:at], *first, scaling, window))
    for segment in now.segments[at:]:
        count = len(segment.tokens)
        if segment.cache is None:
            parts.append(query.new_zeros(1, count, query.shape[1], value.shape[3]))
        elif count == 1:
            one = query.narrow(2, at, 1), key.narrow(2, at, 1), value.narrow(2, at, 1)
            parts.append(_each(layer, (segment,), *one, scaling, window))
        else:
            here = slice(at, at + count)
            keys, values = segment.cache.put(layer, segment.begin, key[:, :, here], value[:, :, here])
            mask = _mask(now, segment, window, query.device)
            out = torch.nn.functional.scaled_dot_product_attention(
                query[:, :, here],
                keys,
                values,
                attn_mask=mask,
                is_causal=mask is None,
                scale=scaling,
                enable_gqa=query.shape[1] != key.shape[1],
            )
            parts.append(out.transpose(1, 2))
        at += count
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _each(
    layer: int,
    segments: Sequence[Segment],
    query: Any,
    key: Any,
    value: Any,
    scaling: float | None,
    window: int | None,
) -> Any:
    """Attend for segments of one token each.

    Heads that share keys stand where several tokens would: otherwise torch copies the keys for each of them, which
    takes several times as long as the attention itself.
    """
    import torch

    heads = key.shape[1]
    queries = query.unflatten(1, (heads, query.shape[1] // heads)).unbind(3)
    found = []
    for segment, one, own_key, own_value in zip(segments, queries, key.unbind(2), value.unbind(2), strict=True):
        if segment.cache is None:
            raise UnfitError("tokens that only fill the shape attend to nothing")
        keys, values = segment.cache.put_one(layer, segment.begin, own_key, own_value)
        if window is not None and segment.end > window:
            keys, values = keys[:, :, -window:], values[:, :, -window:]
        found.append(torch.nn.functional.scaled_dot_product_attention(one, keys, values, scale=scaling))
    return torch.stack(found).reshape(1, len(segments), query.shape[1], -1)


def _mask(now: _Pass, segment: Segment, window: int | None, device: Any) -> Any:
    """Return which keys (columns) each token (rows) sees; None where that is all up to itself, from the beginning."""
    import torch

    narrow = window is not None and segment.end > window
    if not segment.begin and not narrow:
        return None
    key = (segment.begin, len(segment.tokens), window if narrow else None)
    if key not in now.masks:
        mask = torch.ones(len(segment.tokens), segment.end, dtype=torch.bool, device=device).tril(segment.begin)
        if narrow and window is not None:
            mask = mask.triu(segment.begin - window + 1)
        now.masks[key] = mask
    return now.masks[key]
