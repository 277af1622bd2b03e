"""Anything as JSON data: what cannot be said in JSON must not keep a run from being told."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


def sendable(value: Any) -> Any:
    """Return a value as JSON data.

    Parameters
    ----------
    value : Any
        An output, an event, a record.

    Returns
    -------
    Any
        The same where it is JSON; numbers that are not finite as the words ``NaN``, ``Infinity``, ``-Infinity``, half
        characters as ``?``, anything else as its text.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {_text(str(key)): sendable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [sendable(item) for item in value]
    return _text(str(value))


def _text(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return str.__str__(text)
