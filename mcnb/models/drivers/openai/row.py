"""One text of a server as it grows."""

from __future__ import annotations

import time

from mcnb.errors import ServerError
from mcnb.models.drivers.openai.pieces import Piece
from mcnb.models.parameters import Parameters
from mcnb.models.rows import FinishReason, GenerationResult, OnText
from mcnb.models.stops import StopSequences


class Row:
    """Follows one text of a generation.

    Parameters
    ----------
    parameters : Parameters
        Of the generation.
    result : GenerationResult
        Its budget says when a text was as long as it may be.
    on_text : callable or None
        Gets its pieces; None for further sequences.

    Attributes
    ----------
    reason : str or None
        Why it ended, once it has.
    first : float or None
        When its first piece came.
    """

    def __init__(self, parameters: Parameters, result: GenerationResult, on_text: OnText | None) -> None:
        self._parameters = parameters
        self._result = result
        self._on_text = on_text
        self._stops = StopSequences(parameters["stop_sequences"])
        self._pieces: list[str] = []
        self._came = 0
        self._told: int | None = None
        self._said: str | None = None
        self.reason: FinishReason | None = None
        self.first: float | None = None

    @property
    def text(self) -> str:
        """What there is."""
        return "".join(self._pieces)

    @property
    def tokens(self) -> int:
        """As the server counts; where it does not, the pieces that came, which are tokens with most servers."""
        return self._came if self._told is None else self._told

    @property
    def is_counted(self) -> bool:
        """Whether the server tells its tokens."""
        return self._told is not None

    def take(self, piece: Piece) -> bool:
        """Take a piece; return whether the text is complete before the server says so."""
        if piece.output_tokens is not None:
            self._told = piece.output_tokens
        if piece.text:
            self.first = self.first or time.perf_counter()
            self._came += 1
            self._say(self._stops.release(piece.text))
        if self._stops.stopped:
            self.reason = "stop_sequence"
        self._said = self._said or piece.reason
        return self._stops.stopped

    def finish(self) -> None:
        """End the text, as the server has.

        Raises
        ------
        ServerError
            When it did so for a reason of its own.
        """
        self.cut()
        if self.reason is None and self._said is not None:
            self.reason = self._meant(self._said)

    def _meant(self, reason: str) -> FinishReason:
        if reason in ("stop", "eos", "eos_token", "end_turn"):
            return "eos"
        if reason in ("length", "max_tokens"):
            short = self._told is not None and self._told < self._result.output_budget
            by_context = self._result.clamped and self._result.output_budget != self._parameters.cap
            return "context_full" if short or by_context else "max_output_length"
        raise ServerError(f"the server ended the text for a reason of its own: {reason}")

    def cut(self, reason: FinishReason | None = None) -> None:
        """End the text where it is; nothing more will come."""
        self.reason = self.reason or reason
        if rest := "" if self._stops.stopped else self._stops.rest():
            self._say(rest)

    def _say(self, text: str) -> None:
        if text:
            self._pieces.append(text)
        if self._on_text is not None and (text or self._came == 1):
            self._on_text(text, self.tokens)
