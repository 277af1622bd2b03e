"""What each sequence does in a pass: its last token, guesses of the next ones, and the choice among what they gave."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from mcnb.models.engine.attention import Segment
from mcnb.models.engine.choosing import choose
from mcnb.models.engine.work import Sequence as Growing
from mcnb.models.engine.work import Work


@dataclass
class Turn:
    """A sequence in a pass.

    Attributes
    ----------
    sequence : Growing
        Which one.
    place : int
        Of its first row of scores in the pass; those of its guesses follow.
    guesses : tuple of int
        The tokens that may come next, computed along.
    """

    sequence: Growing
    place: int = 0
    guesses: tuple[int, ...] = ()

    @property
    def where(self) -> tuple[int, int]:
        """Where its keys and values are: attention takes those of one slab row by row."""
        cache = self.sequence.cache
        return (cache.slab.room, cache.slot) if cache.slab is not None else (sys.maxsize, 0)

    def segments(self) -> Iterator[Segment]:
        """Yield what is computed. A guess is looked at as it will be when it is a token of its own: alone."""
        cache = self.sequence.cache
        for offset, token in enumerate((self.sequence.tokens[-1], *self.guesses)):
            yield Segment(cache, cache.length + offset, (token,), grows=True)


def take_tokens(scores: Any, turns: Sequence[Turn], end: Callable[[Work, BaseException | None], object]) -> None:
    """Choose the next tokens of sequences, as many as were guessed right and one more.

    Parameters
    ----------
    scores : torch.Tensor
        Of a pass.
    turns : sequence of Turn
        Whose scores they are.
    end : callable
        Told of a generation that is complete, or failed with an exception.
    """
    ended: set[int] = set()
    going = list(turns)
    right = 0
    while going:
        places = [turn.place + right for turn in going]
        mine = scores if places == list(range(len(scores))) else scores[places]
        tokens = choose(mine, [turn.sequence.chooser for turn in going], [turn.sequence.tokens for turn in going])
        further = []
        for turn, token in zip(going, tokens, strict=True):
            work = turn.sequence.work
            if id(work) in ended:
                continue
            try:
                if isinstance(token, BaseException):
                    raise token
                work.rows.note_step()
                work.take(turn.sequence, token)
            except BaseException as error:  # of this generation alone
                ended.add(id(work))
                end(work, error)
                continue
            if not work.sequences:
                ended.add(id(work))
                end(work, None)
            elif _goes_on(turn, token, right):
                further.append(turn)
            else:
                turn.sequence.settle(len(turn.guesses), right)
        going = further
        right += 1


def _goes_on(turn: Turn, token: int, right: int) -> bool:
    """Whether the scores behind a token are there too, and somebody still wants to know."""
    work = turn.sequence.work
    guessed = right < len(turn.guesses) and token == turn.guesses[right]
    return guessed and turn.sequence in work.sequences and not work.stopped
