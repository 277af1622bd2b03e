"""Lengths of time as compose files write them."""

from __future__ import annotations

import re

LONGEST = 366 * 86400.0
"""Seconds; waiting for longer is a slip of the pen."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*(ms|s|m|h|d)?\s*")


def parse_duration(value: str | int | float) -> float:
    """Return a length of time in seconds.

    Parameters
    ----------
    value : str or number
        Seconds, or a text like ``"500ms"``, ``"5s"``, ``"10m"``, ``"1h"``, ``"1d"``.

    Raises
    ------
    ValueError
        When it is negative, longer than a year, or not written that way.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if not 0 <= value <= LONGEST:
            raise ValueError(f"{value} is not a length of time between 0 and one year, in seconds")
        return float(value)
    match = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if not match:
        shown = value[:40] if isinstance(value, str) else value
        raise ValueError(f"{shown!r} is not a length of time; write 500ms, 5s, 10m or 1h")
    seconds = float(match[1]) * _UNITS[match[2] or "s"]
    if seconds > LONGEST:
        raise ValueError(f"{value!r} is longer than one year")
    return seconds
