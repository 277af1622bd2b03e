"""Texts, templates and values for tests of what holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

few = settings(
    derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow], database=None
)
many = settings(few, max_examples=200)

TEXT = st.text(max_size=200)
_SINGLE = list("{}|\"'[].*:/()$\\ \n字0")
_LONGER = ["${", "\\${", "-1", " as ", "text", "integer", "select/a,b", "object[]", ";sse-text", "@("]
_PATHS = ["input", "input.a", "env.X", "jobs.a.output"]
PIECES = st.sampled_from(_SINGLE + _LONGER + _PATHS)
TEMPLATES = st.lists(PIECES, max_size=40).map("".join)

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(max_size=20)
    | TEMPLATES
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def attempt(kind: type[Exception], action: Callable[[], Any]) -> tuple[Any, Any]:
    """The result of an action, and the error of one kind that it ended with; any other error fails the test."""
    try:
        return action(), None
    except kind as error:
        return None, error
