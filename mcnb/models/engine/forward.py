"""One forward pass over segments of many sequences."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from mcnb.models.engine.attention import NAME, Segment, attending
from mcnb.models.engine.invariance import Shapes
from mcnb.models.engine.slabs import Slabs
from mcnb.models.loaded import LoadedModel


class Forward:
    """Computes segments with a model, in shapes in which no token depends on its neighbours.

    Parameters
    ----------
    loaded : LoadedModel
        Used by the calling thread alone.
    shapes : Shapes
        Those shapes.

    Attributes
    ----------
    vocabulary : int
        Tokens there are.
    bytes_per_token : int
        Of keys and values.
    one_at_a_time : bool
        True where there are no such shapes: then one sequence is computed in a pass, so that the same holds.
    slabs : Slabs or None
        Where one call of attention treats every sequence as a call of its own would.
    """

    def __init__(self, loaded: LoadedModel, shapes: Shapes) -> None:
        self.shapes = shapes
        self.bytes_per_token = 0
        self.one_at_a_time = False
        self.slabs: Slabs | None = None
        self._loaded = loaded
        self.vocabulary = int(loaded.model.get_output_embeddings().weight.shape[0])
        self._configs = list(_configs(loaded.model))

    def __call__(self, segments: Sequence[Segment], wanted: Sequence[int]) -> Any:
        """Compute segments and count their tokens into their caches.

        Parameters
        ----------
        segments : sequence of Segment
            Those of one sequence one behind the other; no more than ``shapes.most`` tokens in all.
        wanted : sequence of int
            Of which tokens, counted through all segments, the scores of the next token are wanted.

        Returns
        -------
        torch.Tensor
            Of shape (wanted, vocabulary), float32.
        """
        import torch

        ids = [token for segment in segments for token in segment.tokens]
        places = [place for segment in segments for place in range(segment.begin, segment.end)]
        rest = self.shapes.filled(len(ids)) - len(ids)
        filled = (*segments, Segment(None, 0, (0,) * rest)) if rest else tuple(segments)
        device = self._loaded.placement.device
        keep = [*wanted] or [0]
        keep += [keep[0]] * (self.shapes.filled(len(keep)) - len(keep))
        with torch.inference_mode(), attending(filled, self.slabs), self._attention():
            scores = self._loaded.model(
                input_ids=torch.tensor([ids + [0] * rest], device=device),
                position_ids=torch.tensor([places + [0] * rest], device=device),
                use_cache=False,
                logits_to_keep=torch.tensor(keep, device=device),
            ).logits
            if scores.shape[1] != len(keep):
                raise ValueError("the model computes the scores of all tokens")
            scores = scores[0, : len(wanted)].float()
        for segment in segments:
            if segment.cache is not None:
                segment.cache.length = segment.end
        return scores

    @contextlib.contextmanager
    def _attention(self) -> Iterator[None]:
        before = [config._attn_implementation for config in self._configs]
        for config in self._configs:
            config._attn_implementation = NAME
        try:
            yield
        finally:
            for config, own in zip(self._configs, before, strict=True):
                config._attn_implementation = own


def _configs(model: Any) -> Iterator[Any]:
    """Yield the configs that a model's parts look at: usually one."""
    seen: dict[int, Any] = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if hasattr(config, "_attn_implementation"):
            seen[id(config)] = config
    yield from seen.values()
