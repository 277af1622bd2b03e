"""The check of a caller's values against a workflow's inputs, before any model work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mcnb.compose.expressions.casts import cast
from mcnb.compose.inputs import Input, Inputs
from mcnb.compose.plain_values import plain_values
from mcnb.compose.suggest import suggestion
from mcnb.errors import ExpressionError, InvalidInputError

MAX_UNKNOWN = 20
"""Unknown names that are told; a caller who gives more has mistaken the workflow."""


def check_input(inputs: Inputs, values: Any) -> dict[str, Any]:
    """Check a caller's values.

    Parameters
    ----------
    inputs : Inputs
        What the workflow asks for.
    values : Mapping or None
        What the caller gave.

    Returns
    -------
    dict
        The values as plain JSON data; casts and defaults are left to the expressions.

    Raises
    ------
    InvalidInputError
        With everything that is wrong: missing, unknown, of the wrong type, out of range.
    """
    if values is None:
        values = {}
    if not isinstance(values, Mapping):
        raise InvalidInputError(
            f"the input has to be a mapping of names to values, got {type(values).__name__}",
            hint=f"for example {{{', '.join(f'{name!r}: ...' for name in inputs.names) or '...'}}}",
        )
    plain = plain_values(values)
    errors = []
    for item in inputs:
        message = _wrong(item, plain.get(item.name))
        if message:
            errors.append({"field": item.name, "message": message})
    if not inputs.open:
        unknown = [name for name in plain if name not in set(inputs.names)]
        for name in unknown[:MAX_UNKNOWN]:
            hint = suggestion(name, inputs.names, otherwise="this workflow takes no input")
            errors.append({"field": name, "message": f"there is no input '{name}'; {hint}"})
    if errors:
        raise InvalidInputError("; ".join(error["message"] for error in errors), errors=errors)
    return plain


def _wrong(item: Input, value: Any) -> str | None:
    if value is None:
        described = f" ({item.description})" if item.description else ""
        return f"the input '{item.name}'{described} is missing" if item.required else None
    if not item.declared:
        return None
    try:
        value = cast(value, item.type, what=f"input '{item.name}'")
    except ExpressionError as error:
        return error.message
    low, high = item.range
    for number in value if isinstance(value, list) else [value]:
        if isinstance(number, int | float) and not isinstance(number, bool):
            if low is not None and number < low:
                return f"input '{item.name}': must be at least {low:g}, got {number}"
            if high is not None and number > high:
                return f"input '{item.name}': must be at most {high:g}, got {number}"
    return None


def parse_pair(text: str, option: str) -> tuple[str, str]:
    """Split the text of an option like ``-i NAME=VALUE``; `option` is its name, for the message.

    Raises
    ------
    InvalidInputError
        When there is no name or no ``=``.
    """
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InvalidInputError(f"{option} {text}: expected NAME=VALUE")
    return name, value


def parse_text_value(inputs: Inputs, name: str, text: str) -> Any:
    """Turn the text of ``-i name=text`` into a value of the input's type.

    Texts stay texts, so that ``-i prompt=5`` is the text "5"; lists and objects are read as JSON.
    """
    if name not in inputs.names:
        return text
    item = inputs[name]
    spec = item.type
    if spec.is_array or spec.name in ("list", "object", "json"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text  # the check of the input says what is wrong
    if spec.name in ("integer", "number", "boolean"):
        try:
            return cast(text, spec, what=f"input '{name}'")
        except ExpressionError as error:
            raise InvalidInputError(str(error), errors=[{"field": name, "message": error.message}]) from error
    return text
