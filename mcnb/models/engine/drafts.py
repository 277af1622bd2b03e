"""Guessing the next tokens from what stands in the text already.

A guess is computed along with the token before it, as a pass with a few tokens takes hardly longer than one with one.
Each token is then chosen as if there had been no guess; where the choice is the guess, its scores are there already. So
a text never depends on guesses, only how soon it is there.
"""

from __future__ import annotations

from collections.abc import Sequence

MATCH = 3
"""Tokens that have to stand in the text once before."""

MOST = 6
"""Tokens guessed at once."""

PAUSE = 16
"""Guesses that are left out after bad ones, before another is tried."""


class Drafts:
    """The guesses of one sequence.

    Parameters
    ----------
    tokens : list of int
        Its tokens so far, those of its prompt first; the same list that grows later.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens = tokens
        self._after: dict[tuple[int, ...], int] = {}
        self._read = 0
        self._trust = 2
        self._pause = 0

    def guess(self, most: int) -> tuple[int, ...]:
        """Return the tokens that may come next: those that came after the same last ones before."""
        tokens = self._tokens
        for end in range(max(self._read, MATCH), len(tokens)):
            self._after[tuple(tokens[end - MATCH : end])] = end
        self._read = len(tokens)
        found = self._after.get(tuple(tokens[-MATCH:]))
        if found is None or most < 1:
            return ()
        if not self._trust:
            self._pause -= 1
            if self._pause > 0:
                return ()
            self._trust = 1
        return tuple(tokens[found : found + min(most, self._trust)])

    def learn(self, guessed: int, right: int) -> None:
        """Guess more after good guesses, and less after bad ones."""
        if right == guessed:
            self._trust = min(MOST, 2 * self._trust)
        elif not right:
            self._trust //= 2
            self._pause = PAUSE
