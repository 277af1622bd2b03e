"""``as type``: conversions that never lose information."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any, NoReturn

from mcnb.compose.expressions.grammar import TypeSpec
from mcnb.errors import ExpressionError

MAX_DIGITS = 300
"""Digits of an integer written as a text; more fit no float and take long to read."""

_INTEGER = re.compile(rf"[+-]?[0-9]{{1,{MAX_DIGITS}}}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


def cast(value: Any, spec: TypeSpec, *, what: str, offset: int | None = None) -> Any:
    """Convert a value to a type.

    Parameters
    ----------
    value : Any
        Anything but a missing value; null stays null.
    spec : TypeSpec
        The type to convert to.
    what : str
        What is being converted, for the message: ``input.top_k``.

    Raises
    ------
    ExpressionError
        When the value does not have that type and cannot be converted without loss.
    """
    if value is None:
        return None

    def fail(expected: str, given: Any = value) -> NoReturn:
        shown = repr(given)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."
        raise ExpressionError(f"{what}: expected {expected}, got {shown}", offset=offset)

    if spec.is_array:
        items = _as_list(value, fail)
        if spec.name == "object" and spec.options:
            return [_project(item, spec.options, fail) for item in items]
        one = TypeSpec(spec.name)
        return [cast(item, one, what=f"{what}[{number}]", offset=offset) for number, item in enumerate(items)]
    if spec.name == "select":
        if str(value) not in spec.options:
            fail(f"one of {', '.join(spec.options)}")
        return str(value)
    return _CASTS[spec.name](value, fail)


def _text(value: Any, fail: Callable[..., NoReturn]) -> str:
    return str(value)


def _integer(value: Any, fail: Callable[..., NoReturn]) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and _INTEGER.fullmatch(value.strip()):
        return int(value)
    fail("an integer")


def _number(value: Any, fail: Callable[..., NoReturn]) -> int | float:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        value = _integer(value, fail) if _INTEGER.fullmatch(value.strip()) else float(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    fail("a number")


def _boolean(value: Any, fail: Callable[..., NoReturn]) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if isinstance(value, str | int) and word in _TRUE:
        return True
    if isinstance(value, str | int) and word in _FALSE:
        return False
    fail("true or false")


def _json(value: Any, fail: Callable[..., NoReturn]) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value, parse_constant=_not_json)
    except (ValueError, RecursionError):
        fail("JSON")


def _not_json(word: str) -> NoReturn:
    raise ValueError(word)  # Python would read NaN and Infinity


def _object(value: Any, fail: Callable[..., NoReturn]) -> dict[str, Any]:
    found = _json(value, fail)
    if not isinstance(found, dict):
        fail("an object")
    return found


def _as_list(value: Any, fail: Callable[..., NoReturn]) -> list[Any]:
    found = _json(value, lambda *_: fail("a list"))
    if isinstance(found, tuple):
        found = list(found)
    if not isinstance(found, list):
        fail("a list")
    return found


def _project(item: Any, fields: tuple[str, ...], fail: Callable[..., NoReturn]) -> dict[str, Any]:
    if not isinstance(item, dict):
        fail("a list of objects", item)
    return {field: item.get(field) for field in fields}


_CASTS: dict[str, Callable[[Any, Callable[..., NoReturn]], Any]] = {
    "string": _text,
    "text": _text,
    "stream": _text,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "json": _json,
    "object": _object,
    "list": _as_list,
}
