"""Tokens to text, piece by piece: characters are never split and stop sequences are cut off.

The text of a run *is* the pieces put together, so streamed and whole results are the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

CONTEXT_TOKENS = 6
"""Tokens of the prompt that are decoded along, because the space before a token depends on what is before it."""

MAX_PENDING = 8
"""A character has at most 4 bytes; so many tokens without a whole one are not the beginning of a character."""

INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class Detokenizer:
    """Turns one row of tokens into text as they come.

    Parameters
    ----------
    tokenizer : transformers tokenizer
        Special tokens are skipped.
    prompt : sequence of int
        Token ids of the prompt that the text continues; empty for a reply that stands alone.
    stop_sequences : sequence of str
        The text ends before the first of them.
    """

    def __init__(self, tokenizer: Any, prompt: Sequence[int] = (), stop_sequences: Sequence[str] = ()) -> None:
        self._tokenizer = tokenizer
        self._ids = list(prompt[-CONTEXT_TOKENS:])
        self._begin = 0
        self._read = len(self._ids)
        self._held = ""
        self._stops = tuple(stop_sequences)
        self.stopped = False
        """Whether a stop sequence was found."""

    def add(self, token: int) -> str:
        """Take one token; return the text that is now certain, which may be empty."""
        if self.stopped:
            return ""
        self._ids.append(token)
        return self._release(self._decode(final=False))

    def finish(self) -> str:
        """Return what was held back; nothing more will come."""
        if self.stopped:
            return ""
        rest = self._release(self._decode(final=True))
        rest, self._held = rest + ("" if self.stopped else self._held), ""
        return rest

    def _decode(self, *, final: bool) -> str:
        known = self._text(self._ids[self._begin : self._read])
        text = self._text(self._ids[self._begin :])
        waiting = len(self._ids) - self._read
        if len(text) <= len(known) or (text.endswith(INCOMPLETE) and waiting < MAX_PENDING and not final):
            return ""
        self._begin, self._read = self._read, len(self._ids)
        return text[len(known) :]

    def _text(self, ids: list[int]) -> str:
        return str(self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False))

    def _release(self, text: str) -> str:
        if not self._stops:
            return text
        text = self._held + text
        found = min((at for at in (text.find(stop) for stop in self._stops) if at >= 0), default=-1)
        if found >= 0:
            self.stopped = True
            self._held = ""
            return text[:found]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` could be the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
