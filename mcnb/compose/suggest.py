"""The nearest valid name to a mistyped one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

MAX_LISTED = 10
MAX_LENGTH = 100


def nearest(name: str, known: Iterable[str]) -> str | None:
    """Return the known name closest to `name`, or None when none is close."""
    if len(name) > MAX_LENGTH:
        return None
    found = difflib.get_close_matches(name.lower(), sorted(known), n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(name: str, known: Iterable[str]) -> str | None:
    """Return ``did you mean 'x'?``, or None when no known name is close."""
    found = nearest(name, known)
    return f"did you mean '{found}'?" if found else None


def listed(known: Iterable[str]) -> str:
    """Return the names in one line, the first ones only when there are many."""
    names = list(known)
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return ", ".join(names[:MAX_LISTED]) + more


def suggestion(name: str, known: Iterable[str], *, otherwise: str = "", label: str = "known") -> str | None:
    """Return what to do about an unknown name: the nearest one, else those there are, else `otherwise`."""
    names = list(known)
    return did_you_mean(name, names) or (f"{label}: {listed(names)}" if names else otherwise or None)
