"""A prompt as a model gets it: its tokens, and how many may follow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mcnb.models.budget import set_budget
from mcnb.models.chat import Conversation, Prompt, end_of_turn, render_chat
from mcnb.models.loaded import LoadedModel
from mcnb.models.parameters import Parameters
from mcnb.models.rows import GenerationResult, OnPrompt, OnText, Rows


@dataclass(frozen=True)
class Prepared:
    """A prompt that can be computed.

    Attributes
    ----------
    tokens : mapping
        What the tokenizer made of it: ``input_ids`` of shape (1, tokens), and what else the model reads.
    rows : Rows
        To follow what comes.
    """

    tokens: Any
    rows: Rows

    @property
    def ids(self) -> list[int]:
        """The tokens' ids."""
        found: list[int] = self.tokens["input_ids"][0].tolist()
        return found


def prepare(
    loaded: LoadedModel,
    prompt: Prompt,
    parameters: Parameters,
    *,
    on_text: OnText,
    result: GenerationResult,
    on_prompt: OnPrompt | None = None,
) -> Prepared:
    """Render a prompt, read its tokens and decide how many may follow; see ``generation.generate``.

    Raises
    ------
    ContextOverflowError, InvalidInputError, UnsupportedModelError
    """
    import torch

    ends = loaded.end_tokens
    if isinstance(prompt, Conversation):
        result.prompt, ids = render_chat(loaded, prompt)
        tokens: Any = {"input_ids": torch.tensor([ids], dtype=torch.long)}
        ends |= end_of_turn(loaded)
    else:
        result.prompt = prompt
        tokens = loaded.tokenizer(prompt, return_tensors="pt", verbose=False)
    length = int(tokens["input_ids"].shape[-1])
    result.prompt_tokens = length
    result.batch_invariant = not (parameters.uses_beams and parameters.samples)
    set_budget(
        loaded.snapshot.name,
        loaded.context_length,
        length,
        parameters,
        result,
        encoder_decoder=loaded.is_encoder_decoder,
    )
    if on_prompt is not None:
        on_prompt(length, result.output_budget)
    rows = Rows(
        loaded,
        tokens["input_ids"][0].tolist(),
        parameters,
        on_text,
        result,
        ends=ends,
        stands_alone=loaded.is_encoder_decoder or isinstance(prompt, Conversation),
    )
    return Prepared(tokens, rows)
