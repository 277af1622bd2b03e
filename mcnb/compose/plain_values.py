"""JSON data of what callers hold: scalars and arrays of NumPy, columns of pandas, tuples, paths."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from mcnb.errors import InvalidInputError

MAX_DEPTH = 64
MAX_VALUES = 1_000_000
MAX_CHARACTERS = 16_000_000
MAX_INTEGER_BITS = 1_000


def plain_values(values: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a caller's values as plain JSON data.

    Parameters
    ----------
    values : Mapping
        By input name.

    Raises
    ------
    InvalidInputError
        For what is not data, for text that is not Unicode, for numbers that are not finite, and beyond the limits.
    """
    reader = _Reader()
    return {reader.text(str(name), "input"): reader.plain(value, str(name), 0) for name, value in values.items()}


class _Reader:
    """Counts what it reads, so that shared parts cannot be multiplied without end."""

    def __init__(self) -> None:
        self.values = 0
        self.characters = 0

    def plain(self, value: Any, name: str, depth: int) -> Any:
        self.values += 1
        if depth > MAX_DEPTH:
            _fail(name, f"nested deeper than {MAX_DEPTH} levels")
        if self.values > MAX_VALUES:
            _fail(name, f"the input has more than {MAX_VALUES:,} values")
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, str):
            return self.text(value, name)
        if isinstance(value, int):
            if value.bit_length() > MAX_INTEGER_BITS:
                _fail(name, "the number is too large")
            return int(value)
        if isinstance(value, float):
            if not math.isfinite(value):
                _fail(name, f"{value} is not a finite number")
            return float(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key), name): self.plain(item, f"{name}.{key}", depth + 1) for key, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.plain(item, f"{name}[{number}]", depth + 1) for number, item in enumerate(value)]
        if isinstance(value, os.PathLike):
            return self.text(os.fsdecode(value), name)
        for convert in ("tolist", "item"):  # arrays and columns, then scalars
            if callable(method := getattr(value, convert, None)):
                try:
                    converted = method()
                except (TypeError, ValueError):
                    continue
                return self.plain(converted, name, depth + 1)
        return _fail(name, f"a {type(value).__name__} cannot be used as an input")

    def text(self, value: str, name: str) -> str:
        self.characters += len(value)
        if self.characters > MAX_CHARACTERS:
            _fail(name, f"the input has more than {MAX_CHARACTERS:,} characters")
        try:
            value.encode()
        except UnicodeEncodeError:
            _fail(name, "the text holds half a character (a lone surrogate), which is not Unicode")
        return str.__str__(value)


def _fail(name: str, reason: str) -> NoReturn:
    name = name.encode(errors="replace").decode()
    message = f"input '{name[:80]}': {reason}"
    hint = "pass text, numbers, booleans, lists or mappings" if "cannot be used" in reason else None
    field = name.partition(".")[0].partition("[")[0]
    raise InvalidInputError(message, errors=[{"field": field, "message": message}], hint=hint)
