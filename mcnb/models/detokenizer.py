"""Tokens to text, piece by piece: characters are never split and stop sequences are cut off.

The text of a run *is* the pieces put together, so streamed and whole results are the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mcnb.models.stops import StopSequences

CONTEXT_TOKENS = 6
"""Tokens decoded along with new ones, because the space before a token depends on what is before it."""

WINDOW = 24
"""Tokens decoded at once at most, where they can be cut between characters; else twice as many."""

LONGEST_CHARACTER = 4
"""Bytes of UTF-8, and so tokens, that one character takes at most."""

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Turns one row of tokens into text as they come.

    A window of the last tokens is decoded each time. What ends in replacement characters may be the beginning of a
    character, so it waits: until more tokens complete it, or until so many came that it cannot be one.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Special tokens are skipped.
    prompt : sequence of int
        Token ids of the prompt that the text continues; empty for a reply that stands alone.
    stop_sequences : sequence of str
        The text ends before the first of them that is complete.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int] = (), stop_sequences: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._special = frozenset(tokenizer.all_special_ids)
        self._window = [token for token in prompt[-2 * WINDOW :] if token not in self._special][-CONTEXT_TOKENS:]
        while self._text(self._window).startswith(INCOMPLETE):  # the cut went through a character
            del self._window[0]
        self._seen = self._text(self._window)
        self._known = self._seen  # what of it was given out, or stood in the prompt
        self._waiting = 0  # tokens since then that are no whole character yet
        self._stops = StopSequences(stop_sequences)

    @property
    def stopped(self) -> bool:
        """Whether a stop sequence was found."""
        return self._stops.stopped

    def add(self, token: int) -> str:
        """Take one token; return the text that is now certain, which may be empty."""
        if self.stopped or token in self._special:  # a special token says nothing, and nothing depends on it
            return ""
        piece = self._take(token)
        if len(self._window) in (WINDOW, 2 * WINDOW):
            piece += self._shorten()
        return self._stops.release(piece)

    def finish(self) -> str:
        """Return what was held back; nothing more will come."""
        if self.stopped:
            return ""
        rest = self._stops.release(self._seen[len(self._known) :])
        self._known = self._seen
        return rest + self._stops.rest()

    def _take(self, token: int) -> str:
        self._window.append(token)
        self._waiting += 1
        text = self._text(self._window)
        if len(text) > len(self._known) and not text.startswith(self._known):
            # with byte tokens, one that begins a character makes the whole row of them unreadable: read it alone
            self._window, self._known = self._window[-self._waiting :], ""
            text = self._text(self._window)
        self._seen = text
        certain = text.rstrip(INCOMPLETE)
        if certain == text or len(certain) > len(self._known):
            self._waiting = 0
        elif self._waiting >= LONGEST_CHARACTER:
            certain = text[:-1]  # too many for one character; only the last can still be the beginning of one
            self._waiting = 1
        else:
            return ""
        piece = certain[len(self._known) :]
        self._known = max(certain, self._known, key=len)
        return piece

    def _shorten(self) -> str:
        """Forget the window's beginning, where that leaves the rest of its text as it is."""
        rest = self._seen[len(self._known) :]
        for begin in range(len(self._window) - CONTEXT_TOKENS, 0, -1):
            text = self._text(self._window[begin:])
            if self._seen.endswith(text) and len(text) > len(rest) and not text.startswith(INCOMPLETE):
                self._window, self._seen, self._known = self._window[begin:], text, text[: len(text) - len(rest)]
                return ""
        if len(self._window) < 2 * WINDOW:
            return ""
        self._window = self._window[-CONTEXT_TOKENS:]
        self._seen = text = self._text(self._window)
        if text.endswith(rest):  # every cut goes through a character, so its beginning is not to be looked at
            self._known = text[: len(text) - len(rest)]
            return ""
        self._known, self._waiting = text, 0
        return rest

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))
