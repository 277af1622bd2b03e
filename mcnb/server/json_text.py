"""JSON as strangers send it: what is no JSON, too deep, or could not be written down again is refused."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn, TypeVar

from mcnb.errors import InvalidInputError

MAX_DEPTH = 64
"""Levels of lists and mappings, as in a compose file."""

_Value = TypeVar("_Value")


def read_json(body: bytes) -> Any:
    """Read JSON: UTF-8, finite numbers, whole characters, not too deep.

    Raises
    ------
    InvalidInputError
        Otherwise.
    """
    try:
        value = json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"the body is not UTF-8: byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise InvalidInputError(
            f"the body is not JSON: {error.msg}, line {error.lineno}, column {error.colno}"
        ) from error
    except RecursionError as error:
        raise InvalidInputError(f"the body has more than {MAX_DEPTH} levels") from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidInputError("the body holds a number with too many digits") from error
    return check_plain(value)


def _no_number(text: str) -> NoReturn:
    raise InvalidInputError(f"the body is not JSON: it holds {text}")


def check_plain(value: _Value) -> _Value:
    """Return JSON data as it is, when it can be stored and sent on.

    Raises
    ------
    InvalidInputError
        When it is too deep, or holds a number that is not finite or half a character.
    """
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Any] = []
        for item in level:
            if isinstance(item, str):
                _check_text(item)
            elif isinstance(item, float) and not math.isfinite(item):
                raise InvalidInputError("the body holds a number that is too large")
            elif isinstance(item, dict):
                inner += [*item, *item.values()]
            elif isinstance(item, list):
                inner += item
        if not inner:
            return value
        level = inner
    raise InvalidInputError(f"the body has more than {MAX_DEPTH} levels")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise InvalidInputError("the body holds half a surrogate pair, which is no character") from error
