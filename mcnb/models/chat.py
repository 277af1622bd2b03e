"""Conversations: their rendering with a model's own chat template, and the token that ends its turn."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias

from mcnb.errors import InvalidInputError, UnsupportedModelError
from mcnb.models._compat import chat_tokens
from mcnb.models.loaded import LoadedModel

_NOW = re.compile(r"""strftime_now\(\s*("[^"\\]*"|'[^'\\]*')\s*\)""")

_THINKING = re.compile(r"\benable_thinking\b")
"""The switch of templates whose models can think or not."""

_MARK = "what was said"
"""What the model is taken to have said, to see how the template goes on behind it."""


@dataclass(frozen=True)
class Turn:
    """One message: who says it (``system, user, assistant, tool, developer``), and what."""

    role: str
    content: str


@dataclass(frozen=True)
class Conversation:
    """A prompt that a chat template makes a text of.

    Attributes
    ----------
    turns : tuple of Turn
        From the first to the last.
    now : float or None
        Seconds since 1970: what a template that writes the date takes for now. None is the present.
    thinking : bool or None
        Whether the model thinks before it answers; None is as its template has it.
    """

    turns: tuple[Turn, ...]
    now: float | None = None
    thinking: bool | None = None

    def at(self, now: float) -> Conversation:
        """Return the same conversation at a time."""
        return replace(self, now=now)

    @property
    def messages(self) -> list[dict[str, str]]:
        """The turns as chat templates read them."""
        return [{"role": turn.role, "content": turn.content} for turn in self.turns]


Prompt: TypeAlias = str | Conversation
"""What a model is asked: a text that it continues as it stands, or a conversation that it answers."""


def render_chat(loaded: LoadedModel, conversation: Conversation) -> tuple[str, list[int]]:
    """Render a conversation up to where the model's answer begins.

    Parameters
    ----------
    loaded : LoadedModel
        Used by the calling thread alone.
    conversation : Conversation
        Of one turn at least.

    Returns
    -------
    (str, list of int)
        The text, and its tokens: the template writes all special tokens itself, none is added, and what a turn holds
        is text even if it looks like one (with the versions of transformers that can tell them apart).

    Raises
    ------
    UnsupportedModelError
        When the model has no chat template, or one without a switch for thinking where one is wanted.
    InvalidInputError
        When its template refuses the conversation.
    """
    template = _template(loaded, conversation.now)
    options = {"chat_template": template, **template_options(loaded.snapshot.name, template, conversation)}
    try:
        text = loaded.tokenizer.apply_chat_template(conversation.messages, tokenize=False, **options)
        return text, chat_tokens(loaded.tokenizer, conversation.messages, text, options)
    except Exception as error:  # a template is a program of the model's makers: it may raise anything
        raise refused_by_template(loaded.snapshot.name, conversation, error) from error


def end_of_turn(loaded: LoadedModel) -> frozenset[int]:
    """Return the special token that the model's template writes behind an answer, where there is one.

    A converted or older model may not name it among its end tokens, and would go on with the next turn.
    """
    said = [{"role": "user", "content": _MARK}, {"role": "assistant", "content": _MARK}]
    try:
        text = loaded.tokenizer.apply_chat_template(said, tokenize=False, chat_template=_template(loaded, None))
        _, found, behind = text.rpartition(_MARK)
        tokens = loaded.tokenizer(behind, add_special_tokens=False, verbose=False)["input_ids"] if found else []
    except Exception:  # a template that never shows an answer; the model's own end tokens remain
        return frozenset()
    return frozenset(tokens[:1]) & frozenset(loaded.tokenizer.all_special_ids)


def plain_text_warning(loaded: LoadedModel, text: str) -> str | None:
    """Say that a model trained for chats gets plain text; None where it is not, or the text has its turns already."""
    tokenizer = loaded.tokenizer
    if not getattr(tokenizer, "chat_template", None) or any(token in text for token in tokenizer.all_special_tokens):
        return None
    return trained_for_chats(loaded.snapshot.name)


def trained_for_chats(name: str) -> str:
    """Return what to tell when a model that was trained for chats gets plain text."""
    return (
        f"{name} was trained for chats and gets plain text; 'task: chat-completion' with 'messages:' "
        "usually answers better"
    )


def _template(loaded: LoadedModel, now: float | None) -> str:
    """Return the model's template, with the date in place of where it asks for it: a repeated run has the same."""
    try:
        template = loaded.tokenizer.get_chat_template()
    except (ValueError, AttributeError):  # none, or several without a default
        template = None
    return dated_template(loaded.snapshot.name, template, now)


def dated_template(name: str, template: str | None, now: float | None) -> str:
    """Return a template with the date in place of where it asks for it.

    Raises
    ------
    UnsupportedModelError
        When there is no template.
    """
    if not template:
        raise UnsupportedModelError(
            f"{name} has no chat template, so it cannot answer messages",
            hint="name a model that was trained for chats (often called Instruct or Chat), or use "
            "'task: text-generation' with a prompt of your own",
        )
    moment = datetime.now() if now is None else datetime.fromtimestamp(now)
    return _NOW.sub(lambda call: json.dumps(moment.strftime(call[1][1:-1]), ensure_ascii=False), template)


def template_options(name: str, template: str, conversation: Conversation) -> dict[str, Any]:
    """Return what a template is rendered with, besides the messages.

    Raises
    ------
    InvalidInputError
        When there is no message.
    UnsupportedModelError
        When the conversation says whether to think, and the template has no switch for it.
    """
    if not conversation.turns:
        raise InvalidInputError("the conversation is empty", hint="'messages' needs at least one message")
    if conversation.thinking is None:
        return {"add_generation_prompt": True}
    if not _THINKING.search(template):
        raise UnsupportedModelError(
            f"{name} cannot be told whether to think: its chat template has no such switch",
            hint="leave 'thinking' out, or choose a model that has one",
        )
    return {"add_generation_prompt": True, "enable_thinking": conversation.thinking}


def refused_by_template(name: str, conversation: Conversation, error: Exception) -> InvalidInputError:
    """Return what to tell when a template raises something over a conversation."""
    return InvalidInputError(
        f"the chat template of {name} refuses the messages: {_reason(error)}",
        hint=f"their roles are {', '.join(turn.role for turn in conversation.turns)}; many templates want user and "
        "assistant in turns, and some know no system",
    )


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())[:300]
    return text.rstrip(".") if type(error).__name__ == "TemplateError" and text else f"{type(error).__name__}: {text}"
