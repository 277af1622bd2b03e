"""Drawing the next token with a generator of its own.

``generate`` draws from torch's global generator, which any other thread of a notebook may use at the same time. Here
each row has its own, so a seed means the same text whatever else happens. The draw is handed to ``generate`` as scores
that leave one token possible.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COLDEST = 1e-30
"""Temperatures below are taken as this one: the float32 of a smaller number may be 0."""


def row_seeds(seed: int, rows: int) -> list[int]:
    """Return a seed for each row: the run's own for the first, derived ones for further sequences."""
    import hashlib

    derived = (hashlib.sha256(f"{seed}:{row}".encode()).digest() for row in range(1, rows))
    return [seed, *(int.from_bytes(digest[:8], "little") >> 1 for digest in derived)]


def candidates(scores: Any, *, temperature: float, top_k: int, top_p: float) -> tuple[Any, Any | None]:
    """Return which tokens may come next, and how likely each is.

    Top-k comes before top-p, as in transformers; because the likeliest tokens are selected first, only they are
    sorted and normalised.

    Parameters
    ----------
    scores : torch.Tensor
        Of shape (rows, vocabulary).
    temperature : float
        More than 0.
    top_k : int
        0 for all.
    top_p : float
        In (0, 1].

    Returns
    -------
    weights : torch.Tensor
        Of shape (rows, candidates), each row proportional to the probabilities; 0 where top-p leaves a token out.
    tokens : torch.Tensor or None
        Their token ids, of the same shape; None when the candidates are the vocabulary in its order.
    """
    import torch

    tokens = None
    if top_k or top_p < 1:
        count = min(top_k, scores.shape[-1]) if top_k else scores.shape[-1]
        scores, tokens = torch.topk(scores, count, dim=-1)
    best = scores.max(dim=-1, keepdim=True).values  # taken off first, so that the coldest temperature overflows nothing
    weights = torch.softmax((scores - best) / max(temperature, COLDEST), dim=-1)
    if top_p < 1:
        before = weights.cumsum(dim=-1) - weights
        weights = weights.masked_fill(before >= top_p, 0.0)
    return weights, tokens


def draw(weights: Any, tokens: Any | None, generators: Sequence[Any]) -> Any:
    """Draw one of the candidates for each row, with its own generator.

    Returns
    -------
    torch.Tensor
        Token ids, of shape (rows, 1).
    """
    import torch

    rows = zip(weights, generators, strict=True)
    drawn = torch.cat([torch.multinomial(row, 1, generator=generator) for row, generator in rows]).unsqueeze(-1)
    return drawn if tokens is None else tokens.gather(-1, drawn)


class Sampler:
    """A logits processor that draws one token for each row; see ``candidates`` for the other parameters.

    Parameters
    ----------
    seeds : sequence of int
        One for each row.
    device : str
        Where the scores are.
    """

    def __init__(self, *, temperature: float, top_k: int, top_p: float, seeds: Sequence[int], device: str) -> None:
        import torch

        self._how: dict[str, Any] = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        self._generators = [torch.Generator(device=device).manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        """Take scores of shape (rows, vocabulary); return them with one finite entry a row."""
        import torch

        weights, tokens = candidates(scores, **self._how)
        chosen = draw(weights, tokens, self._generators)
        return torch.full_like(scores, float("-inf")).scatter_(-1, chosen, 0.0)
