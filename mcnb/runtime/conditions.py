"""Conditions: what ``if``, ``switch`` and ``filter`` compare, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mcnb.compose.expressions import render
from mcnb.compose.schema.job import Operator, Where
from mcnb.errors import InvalidInputError

LONGEST_MATCH = 1.0
"""Seconds that a regular expression may take: some take for ever."""

_BOOLEANS = {"true": True, "false": False}


def holds(operator: Operator, value: Any, other: Any, where: str) -> bool:
    """Whether a value compares to another one as an operator says.

    A text that reads as a number or a boolean equals that number or boolean, as values from forms and commands are
    texts. A missing value (null) equals null alone, and is neither more nor less than anything.

    Parameters
    ----------
    operator : str
        One of ``OPERATORS``.
    value, other : Any
        What is tested, and against what.
    where : str
        The place, for the message.

    Raises
    ------
    InvalidInputError
        For values that cannot be compared, and for a regular expression that is none.
    """
    return _TESTS[operator](value, other, where)


def passes(where: Where, item: Any, scope: Mapping[str, Any], place: str) -> bool:
    """Whether an item passes a test, or a combination of tests.

    Parameters
    ----------
    where : Where
        The test.
    item : Any
        What is compared where the test names no ``input``.
    scope : mapping
        What its expressions see.
    place : str
        For the message.
    """
    if where.all is not None:
        return all(passes(inner, item, scope, place) for inner in where.all)
    if where.any is not None:
        return any(passes(inner, item, scope, place) for inner in where.any)
    if where.not_ is not None:
        return not passes(where.not_, item, scope, place)
    value = render(where.input, scope) if "input" in where.model_fields_set else item
    return holds(where.operator, value, render(where.value, scope), place)


def equal(value: Any, other: Any) -> bool:
    """Whether two values are the same to a person: 3, 3.0 and the text "3" are; true and 1 are not."""
    value, other = _alike(value, other)
    if isinstance(value, bool) or isinstance(other, bool):
        return value is other
    if isinstance(value, list | tuple) and isinstance(other, list | tuple):
        return len(value) == len(other) and all(map(equal, value, other))
    if isinstance(value, Mapping) and isinstance(other, Mapping):
        return value.keys() == other.keys() and all(equal(item, other[key]) for key, item in value.items())
    return bool(value == other)


def _alike(value: Any, other: Any) -> tuple[Any, Any]:
    """Read a text as what it is compared with."""
    if isinstance(value, str) and not isinstance(other, str):
        return _read(value, other), other
    if isinstance(other, str) and not isinstance(value, str):
        return value, _read(other, value)
    return value, other


def _read(text: str, other: Any) -> Any:
    if isinstance(other, bool):
        return _BOOLEANS.get(text.strip().lower(), text)
    if not isinstance(other, int | float):
        return text
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            continue
    return text


def _ordered(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any, str], bool]:
    def test(value: Any, other: Any, where: str) -> bool:
        if value is None or other is None:
            return False
        value, other = _alike(value, other)
        numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (value, other))
        if numbers or (isinstance(value, str) and isinstance(other, str)):
            return compare(value, other)
        raise InvalidInputError(f"{where}: {_shown(value)} is neither more nor less than {_shown(other)}")

    return test


def _contains(value: Any, other: Any, where: str) -> bool:
    if value is None:
        return False
    if isinstance(value, str):
        return other is not None and str(other) in value
    if isinstance(value, Mapping):
        return other in value if isinstance(other, str) else False
    if isinstance(value, list | tuple):
        return any(equal(item, other) for item in value)
    raise InvalidInputError(f"{where}: {_shown(value)} contains nothing", hint="a text, a list or a mapping does")


def _affix(test: Callable[[str, str], bool]) -> Callable[[Any, Any, str], bool]:
    def holds(value: Any, other: Any, where: str) -> bool:
        if value is None or other is None:
            return False
        return test(_text(value, where), _text(other, where))

    return holds


def _match(value: Any, other: Any, where: str) -> bool:
    import regex  # type: ignore[import-untyped] # which transformers needs, too; unlike re, it can be stopped

    if value is None or other is None:
        return False
    try:
        return regex.search(_text(other, where), _text(value, where), timeout=LONGEST_MATCH) is not None
    except regex.error as error:
        raise InvalidInputError(f"{where}: {_shown(other)} is no regular expression: {error}") from error
    except TimeoutError as error:
        message = f"{where}: the regular expression {_shown(other)} takes more than {LONGEST_MATCH:g} s"
        raise InvalidInputError(message, hint="write it so that it tries less") from error


def _text(value: Any, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise InvalidInputError(f"{where}: {_shown(value)} is not a text")
    return str(value)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_TESTS: dict[str, Callable[[Any, Any, str], bool]] = {
    "eq": lambda value, other, _: equal(value, other),
    "neq": lambda value, other, _: not equal(value, other),
    "gt": _ordered(lambda value, other: value > other),
    "gte": _ordered(lambda value, other: value >= other),
    "lt": _ordered(lambda value, other: value < other),
    "lte": _ordered(lambda value, other: value <= other),
    "in": lambda value, other, where: _contains(other, value, where),
    "not-in": lambda value, other, where: not _contains(other, value, where),
    "starts-with": _affix(str.startswith),
    "ends-with": _affix(str.endswith),
    "contains": _contains,
    "match": _match,
}
