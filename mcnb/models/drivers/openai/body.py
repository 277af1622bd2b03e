"""What is asked of a server: generation parameters in the words of the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mcnb.errors import InvalidInputError
from mcnb.models.chat import Conversation, Prompt
from mcnb.models.parameters import Origin, Parameters, resolve

_EXTENSIONS = ("top_k", "repetition_penalty", "min_output_length")
"""Parameters that OpenAI's own API does not have; servers of open models know them, or ignore them."""


def parameters_for(
    user: Mapping[str, Any], document: Mapping[str, Any], seed: tuple[int, Origin], *, extensions: bool
) -> Parameters:
    """Decide the parameters of a call.

    Parameters
    ----------
    user, document, seed
        As in ``parameters.resolve``.
    extensions : bool
        Whether the server may be sent what is not in OpenAI's own API.

    Raises
    ------
    InvalidInputError
        For what no such server can do: beams; without extensions also the parameters that need them.
    """
    found = resolve(user, document, None, encoder_decoder=False, seed=seed)
    if found.uses_beams:
        raise _refused("num_beams", "a server searches no beams", "remove it, or use 'driver: huggingface'")
    if extensions:
        return found
    for name in _EXTENSIONS:
        if found.origins[name] in ("user", "document"):
            raise _refused(name, "it is not part of OpenAI's API", "remove it, or say 'extensions: true'")
    theirs: dict[str, Origin] = dict.fromkeys(_EXTENSIONS, "model")
    unknown: dict[str, Any] = {"top_k": None, "repetition_penalty": None, "min_output_length": 0}
    return replace(found, values={**found.values, **unknown}, origins={**found.origins, **theirs})


def _refused(name: str, why: str, hint: str) -> InvalidInputError:
    message = f"'{name}' cannot be used with 'driver: openai': {why}"
    return InvalidInputError(message, errors=[{"field": name, "message": message}], hint=hint)


def request_for(
    prompt: Prompt, parameters: Parameters, *, model: str, budget: int, seed: int, extensions: bool
) -> tuple[str, dict[str, Any]]:
    """Return the path and the body of a request.

    Stop sequences are not sent: servers differ in how many they take and in what they say when one was found. The
    connection is closed at the first one, which ends the computing.

    Raises
    ------
    InvalidInputError
        When a conversation wants what the server may not be sent.
    """
    draws = parameters.samples
    body: dict[str, Any] = {
        "model": model,
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": budget,
        "temperature": parameters["temperature"] if draws else 0,
        "top_p": parameters["top_p"] if draws else 1,
        "seed": seed,
    }
    if extensions:
        penalty = parameters["repetition_penalty"]
        body["stream_options"]["continuous_usage_stats"] = True
        body |= {"min_p": 0, "repetition_penalty": penalty, "repeat_penalty": penalty}
        if draws:
            body["top_k"] = parameters["top_k"]
        if parameters["min_output_length"]:
            body["min_tokens"] = min(parameters["min_output_length"], budget)
    if not isinstance(prompt, Conversation):
        return "/completions", {**body, "prompt": prompt}
    if prompt.thinking is not None:
        if not extensions:
            raise _refused("thinking", "it is not part of OpenAI's API", "remove it, or say 'extensions: true'")
        body["chat_template_kwargs"] = {"enable_thinking": prompt.thinking}
    return "/chat/completions", {**body, "messages": prompt.messages}
