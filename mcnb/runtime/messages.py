"""The messages of a chat, rendered and checked: the conversation that a model is to answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mcnb.compose.expressions import TypeSpec, render
from mcnb.compose.expressions.casts import cast
from mcnb.compose.schema import ChatCompletionAction
from mcnb.compose.suggest import listed, suggestion
from mcnb.compose.wording import shown
from mcnb.errors import ExpressionError, InvalidInputError
from mcnb.models.chat import Conversation, Turn

ROLES = ("system", "user", "assistant", "tool", "developer")

_SHAPE = "a message is {role: user, content: ...}"


def render_messages(action: ChatCompletionAction, scope: Mapping[str, Any], where: str) -> Conversation:
    """Render the messages of an action.

    Parameters
    ----------
    action : ChatCompletionAction
        Its messages are a list, or one expression that gives one.
    scope : mapping
        What its expressions see.
    where : str
        The job, for errors.

    Raises
    ------
    InvalidInputError
        For an empty conversation, an unknown role, a message without text, a switch that is neither on nor off.
    """
    written = action.messages
    if isinstance(written, list):
        given: Any = [{"role": render(one.role, scope), "content": render(one.content, scope)} for one in written]
        hints = [f"it is {one.content}" for one in written]
    else:
        given = render(written, scope)
        hints = []
    what = f"{where}: messages"
    if given is None:
        raise InvalidInputError(f"{what} has no value", hint=f"it is {written}")
    if not isinstance(given, list | tuple):
        given = _listed(given, what)
    if not given:
        raise InvalidInputError(f"{what}: the conversation is empty", hint=f"give one message at least; {_SHAPE}")
    turns = []
    for number, message in enumerate(given):
        hint = hints[number] if hints else _SHAPE
        turns.append(_turn(message, f"{where}: messages[{number}]", hint))
    return Conversation(tuple(turns), thinking=_thinking(action, scope, where))


def _thinking(action: ChatCompletionAction, scope: Mapping[str, Any], where: str) -> bool | None:
    try:
        value = cast(render(action.thinking, scope), TypeSpec("boolean"), what=f"{where}: thinking")
    except ExpressionError as error:
        raise InvalidInputError(error.message) from error
    return None if value is None else bool(value)


def _listed(given: Any, what: str) -> Any:
    """Read a list that came as the text of an option or a field, which is JSON."""
    try:
        return cast(given, TypeSpec("list"), what=what)
    except ExpressionError:
        message = f"{what}: expected a list of messages, got {shown(given)}"
        raise InvalidInputError(message, hint=f"{_SHAPE}, and as text JSON") from None


def _turn(message: Any, what: str, hint: str) -> Turn:
    if not isinstance(message, Mapping):
        raise InvalidInputError(f"{what}: expected a message, got {shown(message)}", hint=_SHAPE)
    if unknown := [name for name in message if name not in ("role", "content")]:
        raise InvalidInputError(f"{what}: a message has no '{unknown[0]}'", hint=_SHAPE)
    role = message.get("role")
    if role not in ROLES:
        near = suggestion(role, ROLES) if isinstance(role, str) else None
        raise InvalidInputError(
            f"{what}: the role is missing" if role is None else f"{what}: there is no role {shown(role)}",
            hint=near or f"use {listed(ROLES)}",
        )
    return Turn(str(role), _text(message.get("content"), what, hint))


def _text(content: Any, what: str, hint: str) -> str:
    if content is None:
        raise InvalidInputError(f"{what}: the content is missing", hint=hint)
    if isinstance(content, str):
        return content
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)
    if not isinstance(content, list | tuple):
        raise InvalidInputError(f"{what}: expected a text, got {shown(content)}", hint=hint)
    return "\n".join(_part(part, f"{what}.content[{number}]") for number, part in enumerate(content))


def _part(part: Any, what: str) -> str:
    """Return the text of one part of a content: a text, or ``{type: text, text: ...}``."""
    if isinstance(part, str):
        return part
    kind = part.get("type", "text") if isinstance(part, Mapping) else None
    if kind not in (None, "text"):
        raise InvalidInputError(f"{what}: {shown(kind)} is not supported", hint="models here read text alone")
    text = part.get("text") if isinstance(part, Mapping) else None
    if not isinstance(text, str):
        raise InvalidInputError(f"{what}: expected a text, got {shown(part)}", hint="a part is {type: text, text: ...}")
    return text
