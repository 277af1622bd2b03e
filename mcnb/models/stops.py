"""Stop sequences, in a text that comes in pieces."""

from __future__ import annotations

from collections.abc import Sequence


class StopSequences:
    """Lets a text through up to the first stop sequence that is complete.

    Parameters
    ----------
    sequences : sequence of str
        The text ends before the first of them.
    """

    def __init__(self, sequences: Sequence[str] = ()) -> None:
        self._stops = tuple(sequences)
        self._held = ""
        self.stopped = False
        """Whether one was found."""

    def release(self, text: str) -> str:
        """Give out a text, less what could be the beginning of a stop sequence."""
        if not self._stops:
            return text
        text = self._held + text
        found = [(at + len(stop), at) for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:  # the one that is complete first, however the text came in pieces
            self.stopped = True
            self._held = ""
            return text[: min(found)[1]]
        keep = max(_overlap(text, stop) for stop in self._stops)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]

    def rest(self) -> str:
        """Return what was held back; nothing more will come."""
        held, self._held = self._held, ""
        return held


def _overlap(text: str, stop: str) -> int:
    """How many characters at the end of `text` could be the beginning of `stop`."""
    for length in range(min(len(text), len(stop) - 1), 0, -1):
        if text.endswith(stop[:length]):
            return length
    return 0
