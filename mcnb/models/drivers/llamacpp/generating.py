"""One generation with llama.cpp, token by token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from mcnb.errors import InternalError, McnbError, RunCancelledError, RunTimeoutError
from mcnb.models.budget import set_budget
from mcnb.models.chat import Conversation
from mcnb.models.detokenizer import Detokenizer
from mcnb.models.drivers.llamacpp.library import StopFlag, said
from mcnb.models.drivers.llamacpp.template import render
from mcnb.models.drivers.llamacpp.vocabulary import Vocabulary
from mcnb.models.parameters import Parameters
from mcnb.models.request import Generation
from mcnb.models.rows import FinishReason
from mcnb.models.sampling import row_seeds

_SEEDS = 2**32 - 1
"""llama.cpp's seeds are smaller; this one itself would mean that it draws one."""


class Generating:
    """Computes generations; in one thread alone.

    Parameters
    ----------
    llama : llama_cpp.Llama
        The model.
    name : str
        For messages.
    vocabulary : Vocabulary
        Its tokens.
    context_length : int
        Tokens that fit into its context.
    """

    def __init__(self, llama: Any, name: str, vocabulary: Vocabulary, context_length: int) -> None:
        self._llama = llama
        self._name = name
        self._vocabulary = vocabulary
        self._context = context_length
        self._flag = StopFlag(llama.ctx)

    @property
    def template(self) -> str | None:
        """The chat template of the file."""
        found: str | None = self._llama.metadata.get("tokenizer.chat_template")
        return found

    def tokens_of(self, prompt: Any) -> tuple[str, list[int]]:
        """Return a prompt as the model gets it, and its tokens; from any thread.

        Raises
        ------
        UnsupportedModelError, InvalidInputError
            See ``template.render``.
        """
        if isinstance(prompt, Conversation):
            return render(self._name, self.template, self._vocabulary, prompt)
        return prompt, self._vocabulary.read(prompt)

    def compute(self, generation: Generation) -> None:
        """Generate, filling the generation's result as it goes.

        Raises
        ------
        McnbError
        """
        parameters, result = generation.parameters, generation.result
        result.prompt, tokens = self.tokens_of(generation.prompt)
        result.prompt_tokens = len(tokens)
        set_budget(self._name, self._context, len(tokens), parameters, result)
        if generation.on_prompt is not None:
            generation.on_prompt(len(tokens), result.output_budget)
        sequences = parameters["num_return_sequences"]
        texts = [_Text(generation, self._vocabulary, tokens, number) for number in range(sequences)]
        started = time.perf_counter()
        try:
            with self._flag.heeding(generation.control):
                for text, seed in zip(texts, row_seeds(parameters["seed"], sequences), strict=True):
                    self._write(text, tokens, parameters, seed)
        except (RunCancelledError, RunTimeoutError) as stopped:
            reason: FinishReason = "timeout" if isinstance(stopped, RunTimeoutError) else "cancelled"
            for text in texts:
                text.end(reason)
            raise
        finally:
            _keep(generation, texts, started)

    def _write(self, text: _Text, tokens: list[int], parameters: Parameters, seed: int) -> None:
        control = text.generation.control
        self._llama.reset()  # what is left of an earlier prompt is computed anew: with it, last bits would differ
        self._llama.set_seed(seed % _SEEDS)
        try:
            control.check()
            for token in self._tokens(tokens, parameters):
                control.check()
                if text.take(token):
                    break
        except McnbError:
            raise
        except RuntimeError as error:  # a decode that failed, or was told to stop
            control.check()
            raise InternalError(f"{self._name}: llama.cpp failed ({error}; {said()})") from error
        text.end()

    def _tokens(self, tokens: list[int], parameters: Parameters) -> Iterator[int]:
        draws = parameters.samples
        found: Iterator[int] = self._llama.generate(
            tokens,
            temp=parameters["temperature"] if draws else 0.0,
            top_k=parameters["top_k"],
            top_p=parameters["top_p"],
            min_p=0.0,
            repeat_penalty=parameters["repetition_penalty"],
            logits_processor=self._no_end_before(len(tokens), parameters["min_output_length"]),
        )
        return found

    def _no_end_before(self, prompt: int, length: int) -> Any:
        """Return what keeps a text from ending before it is long enough."""
        if not length:
            return None
        from llama_cpp import LogitsProcessorList

        ends = sorted(self._vocabulary.ends)

        def refuse(ids: Any, scores: Any) -> Any:
            if len(ids) - prompt < length:
                scores[ends] = float("-inf")
            return scores

        return LogitsProcessorList([refuse])


class _Text:
    """One text of a generation as it grows."""

    def __init__(self, generation: Generation, vocabulary: Vocabulary, prompt: list[int], number: int) -> None:
        self.generation = generation
        self.count = 0
        self.reason: FinishReason | None = None
        self.first: float | None = None
        self.pieces: list[str] = []
        self._ends = vocabulary.ends
        self._number = number
        before = [] if isinstance(generation.prompt, Conversation) else prompt
        self._reader = Detokenizer(vocabulary, before, generation.parameters["stop_sequences"])

    def take(self, token: int) -> bool:
        """Take the next token; return whether the text is complete."""
        result = self.generation.result
        self.first = self.first or time.perf_counter()
        self.count += 1
        if token in self._ends:
            self.reason = "eos"
            return True
        self._say(self._reader.add(token))
        if self._reader.stopped:
            self.reason = "stop_sequence"
        elif self.count >= result.output_budget:
            by_context = result.clamped and result.output_budget != self.generation.parameters.cap
            self.reason = "context_full" if by_context else "max_output_length"
        return self.reason is not None

    def end(self, reason: FinishReason | None = None) -> None:
        """End the text where it is."""
        self.reason = self.reason or reason
        if rest := self._reader.finish():
            self._say(rest)

    def _say(self, text: str) -> None:
        if text:
            self.pieces.append(text)
        if not self._number and (text or self.count == 1):
            self.generation.on_text(text, self.count)


def _keep(generation: Generation, texts: list[_Text], started: float) -> None:
    """Put what there is into the result."""
    result = generation.result
    result.texts = ["".join(text.pieces) for text in texts]
    result.finish_reasons = [text.reason for text in texts if text.reason is not None]
    result.output_tokens = sum(text.count for text in texts)
    if texts[0].first is not None:
        result.first_token_seconds = texts[0].first - started
        result.decode_seconds = time.perf_counter() - texts[0].first
