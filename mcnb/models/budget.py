"""How many tokens may follow a prompt."""

from __future__ import annotations

from mcnb.errors import ContextOverflowError, InvalidInputError
from mcnb.models.parameters import Parameters
from mcnb.models.rows import GenerationResult


def set_budget(
    name: str,
    context: int | None,
    length: int | None,
    parameters: Parameters,
    result: GenerationResult,
    *,
    encoder_decoder: bool = False,
) -> None:
    """Put into a result how many tokens may follow its prompt.

    Parameters
    ----------
    name : str
        The model, for messages.
    context : int or None
        Tokens it can see at once; None where that has no limit, or is not known.
    length : int or None
        Tokens of the prompt; None where they are not known, which then sets no limit.
    parameters : Parameters
        What is asked for.
    result : GenerationResult
        Gets ``output_budget`` and ``clamped``.
    encoder_decoder : bool
        Whether prompt and output are seen apart.

    Raises
    ------
    ContextOverflowError
        When the prompt alone is too long.
    InvalidInputError
        When it is empty.
    """
    if length == 0 and not encoder_decoder:
        raise InvalidInputError("the prompt is empty", hint="a model continues at least one token")
    if length is None:
        length, context = 0, None
    limit = parameters["max_input_length"]
    if limit is not None and length > limit:
        raise ContextOverflowError(
            f"the prompt has {length:,} tokens and max_input_length is {limit:,}",
            hint="shorten it or raise max_input_length; nothing is cut off silently",
        )
    room = None if context is None else context if encoder_decoder else context - length
    too_long = context is not None and (length > context if encoder_decoder else length >= context)
    if too_long:
        raise ContextOverflowError(
            f"the prompt has {length:,} tokens and {name} can see {context:,} at once",
            hint="shorten the prompt or choose a model with a longer context",
        )
    wanted = parameters["max_output_length"]
    if encoder_decoder and room is not None:
        room -= 1  # the decoder's start token
    result.output_budget = min(limit for limit in (wanted, room, parameters.cap) if limit is not None)
    result.clamped = result.output_budget < wanted
