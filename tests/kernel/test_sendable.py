"""Anything as JSON data."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcnb.kernel.sendable import sendable

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_stays_as_it_is(value: Any) -> None:
    assert sendable(value) == value


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (math.nan, "NaN"),
        (math.inf, "Infinity"),
        (-math.inf, "-Infinity"),
        ((1, 2), [1, 2]),
        ({1: "a", None: [math.nan]}, {"1": "a", "None": ["NaN"]}),
        ("half \ud83d", "half ?"),
        ({"\udc00": 1}, {"?": 1}),
        (Path("a"), "a"),
        (True, True),
    ],
)
def test_what_is_no_json_becomes_it(value: Any, sent: Any) -> None:
    assert sendable(value) == sent


@given(st.recursive(st.floats() | st.text(st.characters()) | st.binary(), st.lists))
def test_everything_can_be_written(value: Any) -> None:
    assert json.dumps(sendable(value), allow_nan=False).encode()
