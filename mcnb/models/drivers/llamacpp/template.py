"""Conversations, with the chat template that a GGUF file carries."""

from __future__ import annotations

import json
from typing import Any

from mcnb.errors import InvalidInputError
from mcnb.models.chat import Conversation, dated_template, refused_by_template, template_options
from mcnb.models.drivers.llamacpp.vocabulary import Vocabulary

_MARK = "\ue000{}\ue001"
"""Stands for what a message says; no text has a meaning for it."""


def render(
    name: str, template: str | None, vocabulary: Vocabulary, conversation: Conversation
) -> tuple[str, list[int]]:
    """Render a conversation up to where the model's answer begins.

    Parameters
    ----------
    name : str
        The model, for messages.
    template : str or None
        Of its file.
    vocabulary : Vocabulary
        Of the model.
    conversation : Conversation
        Of one turn at least.

    Returns
    -------
    (str, list of int)
        The text and its tokens; what a turn holds is text, even if it looks like a control token.

    Raises
    ------
    UnsupportedModelError
        When there is no template, or none with a switch for thinking where one is wanted.
    InvalidInputError
        When the template refuses the conversation.
    """
    dated = dated_template(name, template, conversation.now)
    options = template_options(name, dated, conversation)
    begin, end = vocabulary.begin_and_end
    values = {"bos_token": begin, "eos_token": end, **options}
    text = _rendered(name, dated, conversation, conversation.messages, values)
    said = [turn.content for turn in conversation.turns]
    if not any(token in content for content in said for token in vocabulary.all_special_tokens):
        return text, vocabulary.read(text, begins=False)
    marked = [{**message, "content": _MARK.format(at)} for at, message in enumerate(conversation.messages)]
    frame = _rendered(name, dated, conversation, marked, values)
    tokens: list[int] = []
    for at, content in enumerate(said):
        before, found, frame = frame.partition(_MARK.format(at))
        if not found:
            raise InvalidInputError(
                f"a message holds a control token of {name}, and its chat template does not show where messages are",
                hint="take the control token out",
            )
        tokens += vocabulary.read(before, begins=False) + vocabulary.read(content, begins=False, special=False)
    return text, tokens + vocabulary.read(frame, begins=False)


def _rendered(
    name: str, template: str, conversation: Conversation, messages: list[dict[str, str]], values: dict[str, Any]
) -> str:
    from jinja2.exceptions import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.filters["tojson"] = lambda value, **how: json.dumps(value, ensure_ascii=False, **how)
    environment.globals["raise_exception"] = refuse
    try:
        text: str = environment.from_string(template).render(messages=messages, tools=None, **values)
        return text
    except Exception as error:  # a template is a program of the model's makers: it may raise anything
        raise refused_by_template(name, conversation, error) from error
