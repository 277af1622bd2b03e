"""Drawing the next token with a generator of its own.

``generate`` draws from torch's global generator, which any other thread of a notebook may use at the same time. Here
each row has its own, so a seed means the same text whatever else happens. The draw is handed to ``generate`` as scores
that leave one token possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def row_seeds(seed: int, rows: int) -> list[int]:
    """Return a seed for each row: the run's own for the first, derived ones for further sequences."""
    import hashlib

    derived = (hashlib.sha256(f"{seed}:{row}".encode()).digest() for row in range(1, rows))
    return [seed, *(int.from_bytes(digest[:8], "little") >> 1 for digest in derived)]


def make_sampler(*, temperature: float, top_k: int, top_p: float, seeds: Sequence[int], device: str) -> Any:
    """Return a logits processor that draws one token for each row.

    Top-k comes before top-p, as in transformers; because the likeliest tokens are selected first, only they are
    sorted and normalised.

    Parameters
    ----------
    temperature : float
        More than 0.
    top_k : int
        0 for all.
    top_p : float
        In (0, 1].
    seeds : sequence of int
        One for each row.
    device : str
        Where the scores are.
    """
    import torch
    from transformers import LogitsProcessor

    generators = [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    class Sampler(LogitsProcessor):  # type: ignore[misc]
        def __call__(self, input_ids: Any, scores: Any) -> Any:
            """Take scores of shape (rows, vocabulary); return them with one finite entry a row."""
            scores = scores / temperature
            size = scores.shape[-1]
            count = min(top_k, size) if top_k else size
            if top_k or top_p < 1:
                scores, tokens = torch.topk(scores, count, dim=-1)
            else:
                tokens = None
            weights = torch.softmax(scores, dim=-1)
            if top_p < 1:
                before = weights.cumsum(dim=-1) - weights
                weights = weights.masked_fill(before >= top_p, 0.0)
            drawn = torch.cat(
                [torch.multinomial(row, 1, generator=g) for row, g in zip(weights, generators, strict=True)]
            ).unsqueeze(-1)
            chosen = drawn if tokens is None else tokens.gather(-1, drawn)
            only = torch.full((len(generators), size), float("-inf"), dtype=scores.dtype, device=scores.device)
            return only.scatter_(-1, chosen, 0.0)

    return Sampler()
