"""The rows of a generation as they grow: their text, why they end, the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from mcnb.models.detokenizer import Detokenizer
from mcnb.models.loaded import LoadedModel
from mcnb.models.parameters import Parameters

FinishReason: TypeAlias = Literal["eos", "stop_sequence", "max_output_length", "context_full", "cancelled", "timeout"]

OnText: TypeAlias = Callable[[str, int], None]
"""Called with each new piece of text of the first sequence, and the number of tokens so far.

While beams are searched the pieces are empty: which text is the best one is known only at the end.
"""

OnPrompt: TypeAlias = Callable[[int, int], None]
"""Called before the prompt is processed, with its tokens and how many new ones may follow."""


@dataclass
class GenerationResult:
    """What one generation gave, whole or partial.

    Attributes
    ----------
    prompt : str
        As rendered; empty until it is.
    texts : list of str
        The continuation (or reply) of each sequence.
    finish_reasons : list of str
        One for each sequence; empty when an error ended it.
    prompt_tokens, output_tokens : int
        Tokens read and written; of several sequences, their sum.
    output_budget : int
        New tokens that were allowed; less than asked for when the context was too short, or a cap lower.
    clamped : bool
        Whether it was less.
    first_token_seconds, decode_seconds : float or None
        From the start of prompt processing to the first token, and from there to the last.
    batch_invariant : bool
        Whether the text depends on nothing but its record; not so when beams are sampled, because that draws from the
        generator that the whole process shares.
    notes : dict
        What an engine has to say of this generation besides; it stands in the record with the engine.
    """

    prompt: str = ""
    texts: list[str] = field(default_factory=list)
    finish_reasons: list[FinishReason] = field(default_factory=list)
    prompt_tokens: int = 0
    output_tokens: int = 0
    output_budget: int = 0
    clamped: bool = False
    first_token_seconds: float | None = None
    decode_seconds: float | None = None
    batch_invariant: bool = True
    notes: dict[str, Any] = field(default_factory=dict)


class Rows:
    """Follows the rows of a generation.

    Parameters
    ----------
    loaded : LoadedModel
        Whose tokens they are.
    prompt : list of int
        The prompt's token ids.
    parameters : Parameters
        Those of the generation.
    on_text : callable
        Gets the pieces of the first row; of beams the number of steps, and the pieces all at the end.
    result : GenerationResult
        Filled whenever a row is complete or cut.
    ends : frozenset of int
        The tokens that end a row.
    stands_alone : bool
        Whether the text is a reply: nothing of it depends on how the prompt ends.
    """

    def __init__(
        self,
        loaded: LoadedModel,
        prompt: list[int],
        parameters: Parameters,
        on_text: OnText,
        result: GenerationResult,
        *,
        ends: frozenset[int],
        stands_alone: bool,
    ) -> None:
        self.loaded = loaded
        self.parameters = parameters
        self.result = result
        self.on_text = on_text
        self.prompt = [] if loaded.is_encoder_decoder else prompt
        self.ends = ends
        sequences = parameters["num_return_sequences"]
        self.pieces: list[list[str]] = [[] for _ in range(sequences)]
        self.counts = [0] * sequences
        self.steps = 0
        self.reasons: list[FinishReason | None] = [None] * sequences
        stops = parameters["stop_sequences"]
        before = [] if stands_alone else self.prompt
        self.readers = [Detokenizer(loaded.tokenizer, before, stops) for _ in range(sequences)]
        self.started = time.perf_counter()
        self.first: float | None = None
        self.between: Callable[[], object] | None = None
        """Called after every step of ``generate``."""
        result.texts = [""] * sequences

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        """Take each row's next token: the stopping criterion through which ``generate`` shows every step.

        Parameters
        ----------
        input_ids : torch.Tensor
            Of shape (rows, tokens so far).

        Returns
        -------
        torch.Tensor
            Of booleans: the rows that are finished.
        """
        import torch

        self.loaded.control.check()
        self.note_step()
        if self.parameters.uses_beams:
            self.on_text("", self.steps)
            stopped = [False] * input_ids.shape[0]
        else:
            stopped = [self.take(row, token) for row, token in enumerate(input_ids[:, -1].tolist())]
        if self.between is not None and not all(stopped):
            self.between()
        return torch.tensor(stopped, dtype=torch.bool, device=input_ids.device)

    def note_step(self) -> None:
        """Count a step; the first one ends the processing of the prompt."""
        self.first = self.first or time.perf_counter()
        self.steps += 1

    def take(self, row: int, token: int) -> bool:
        """Take a row's next token; return whether the row is finished."""
        if self.reasons[row] is not None:
            return True
        self.counts[row] += 1
        reader = self.readers[row]
        if token in self.ends:
            self.reasons[row] = "eos"
        else:
            self.say(row, reader.add(token))
            if reader.stopped:
                self.reasons[row] = "stop_sequence"
            elif self.counts[row] >= self.result.output_budget:
                by_context = self.result.clamped and self.result.output_budget != self.parameters.cap
                self.reasons[row] = "context_full" if by_context else "max_output_length"
        if self.reasons[row] is not None:
            self.say(row, reader.finish())
        return self.reasons[row] is not None

    def say(self, row: int, text: str) -> None:
        """Note a row's next piece of text, and pass on the first row's."""
        if text:
            self.pieces[row].append(text)
        if row == 0 and (text or self.counts[0] == 1):
            beams = self.parameters.uses_beams  # whose steps are told already: the number never goes back
            self.on_text(text, max(self.counts[0], self.steps) if beams else self.counts[0])

    def complete(self, output: Any) -> None:
        """Take the finished sequences; those of beams arrive only now."""
        if self.parameters.uses_beams:
            skip = 1 if self.loaded.is_encoder_decoder else len(self.prompt)
            for row, tokens in enumerate(output[:, skip:].tolist()):
                for token in tokens:
                    if self.take(row, token):
                        break
        self.cut("eos")  # transformers leaves the end token away where a beam fills its whole row

    def cut(self, reason: FinishReason) -> None:
        """End every row where it is, for a reason from outside."""
        self.reasons = [known or reason for known in self.reasons]
        self.keep()

    def keep(self) -> None:
        """Put what there is into the result."""
        for row, reader in enumerate(self.readers):
            self.say(row, reader.finish())
        self.result.texts = ["".join(pieces) for pieces in self.pieces]
        self.result.finish_reasons = [reason for reason in self.reasons if reason is not None]
        self.result.output_tokens = sum(self.counts)

    def stop_clock(self) -> None:
        """Note the times."""
        if self.first is not None:
            self.result.first_token_seconds = self.first - self.started
            self.result.decode_seconds = time.perf_counter() - self.first
