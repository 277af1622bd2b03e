"""Which token comes next, for each sequence by its own rules and from its own random numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcnb.models import sampling
from mcnb.models.parameters import Parameters


class Chooser:
    """How one sequence chooses.

    Parameters
    ----------
    parameters : Parameters
        Of its generation.
    processors : list
        transformers' logits processors: penalties, forbidden tokens, lengths.
    seed : int
        Of its random numbers.
    device : str
        Where the scores are.
    """

    def __init__(self, parameters: Parameters, processors: Sequence[Any], seed: int, device: str) -> None:
        self.processors = tuple(processors)
        self.how: tuple[float, int, float] | None = None
        self.generator: Any = None
        if parameters.samples:
            import torch

            self.how = parameters["temperature"], parameters["top_k"], parameters["top_p"]
            self.generator = torch.Generator(device=device).manual_seed(seed)


def choose(scores: Any, choosers: Sequence[Chooser], histories: Sequence[Sequence[int]]) -> list[int | BaseException]:
    """Choose a token for each sequence.

    Parameters
    ----------
    scores : torch.Tensor
        Of shape (sequences, vocabulary), float32.
    choosers : sequence of Chooser
        One for each.
    histories : sequence of sequence of int
        The tokens of each so far, those of its prompt first.

    Returns
    -------
    list
        Token ids; what was raised, where one could not be chosen.
    """
    import torch

    with torch.inference_mode():
        chosen: list[int | BaseException] = [0] * len(choosers)
        alike: dict[tuple[float, int, float] | None, list[int]] = {}
        rows = list(scores.unsqueeze(1).unbind(0)) if any(chooser.processors for chooser in choosers) else []
        replaced = False
        for number, chooser in enumerate(choosers):
            if chooser.processors:
                try:
                    ids = torch.tensor([histories[number]], device=scores.device)
                    for processor in chooser.processors:
                        before, rows[number] = rows[number], processor(ids, rows[number])
                        replaced = replaced or rows[number] is not before
                except BaseException as error:  # of this sequence alone
                    chosen[number] = error
                    continue
            alike.setdefault(chooser.how, []).append(number)
        if replaced:
            scores = torch.cat(rows)
        for how, numbers in alike.items():
            mine = scores if len(numbers) == len(choosers) else scores[numbers]
            try:
                found: Sequence[int | BaseException] = _of(
                    mine, how, [choosers[number].generator for number in numbers]
                )
            except BaseException as error:
                found = [error] * len(numbers)
            for number, token in zip(numbers, found, strict=True):
                chosen[number] = token
        return chosen


def _of(scores: Any, how: tuple[float, int, float] | None, generators: Sequence[Any]) -> list[int]:
    if how is None:
        found: list[int] = scores.argmax(dim=-1).tolist()
        return found
    temperature, top_k, top_p = how
    weights, tokens = sampling.candidates(scores, temperature=temperature, top_k=top_k, top_p=top_p)
    drawn: list[int] = sampling.draw(weights, tokens, generators).squeeze(-1).tolist()
    return drawn
