"""What values compare to."""

from __future__ import annotations

from typing import Any

import pytest

from mcnb.compose.schema.job import OPERATORS
from mcnb.errors import InvalidInputError
from mcnb.runtime import conditions
from mcnb.runtime.conditions import equal, holds

TRUE: list[tuple[str, Any, Any]] = [
    ("eq", "a", "a"),
    ("eq", 3, 3.0),
    ("eq", "3", 3),
    ("eq", 2.5, " 2.5 "),
    ("eq", True, "true"),
    ("eq", None, None),
    ("eq", [1, {"a": "b"}], ["1", {"a": "b"}]),
    ("neq", 1, True),
    ("neq", 0, False),
    ("neq", "a", "A"),
    ("neq", "3", "3.0"),
    ("neq", None, ""),
    ("neq", 3, "three"),
    ("gt", 10, 9),
    ("gt", "10", 9),
    ("gt", "b", "a"),
    ("gte", 9, 9),
    ("lt", 9, "10"),
    ("lte", 9.0, 9),
    ("in", "a", ["a", "b"]),
    ("in", 1, ["1"]),
    ("in", "lo", "hello"),
    ("in", "key", {"key": 1}),
    ("not-in", "c", ["a", "b"]),
    ("not-in", "c", None),
    ("starts-with", "hello", "he"),
    ("starts-with", 2026, 20),
    ("ends-with", "hello", "lo"),
    ("contains", "hello", "ell"),
    ("contains", [1, 2], 2),
    ("contains", {"a": 1}, "a"),
    ("contains", "year 2026", 2026),
    ("match", "hello", "l+o$"),
    ("match", 2026, r"^\d{4}$"),
]
FALSE: list[tuple[str, Any, Any]] = [
    ("gt", None, 1),
    ("lt", None, 1),
    ("lte", 1, None),
    ("contains", None, "a"),
    ("contains", "none", None),
    ("contains", {"a": 1}, 1),
    ("starts-with", None, "a"),
    ("match", None, "a"),
    ("match", "hello", "^ello"),
    ("in", True, [1]),
]


@pytest.mark.parametrize(("operator", "value", "other"), TRUE)
def test_what_holds(operator: Any, value: Any, other: Any) -> None:
    assert holds(operator, value, other, "here")


@pytest.mark.parametrize(("operator", "value", "other"), FALSE)
def test_what_does_not(operator: Any, value: Any, other: Any) -> None:
    assert not holds(operator, value, other, "here")


def test_every_operator_is_there() -> None:
    assert {operator for operator, _, _ in TRUE} == set(OPERATORS) == set(conditions._TESTS)


def test_equal_is_the_same_both_ways() -> None:
    values = [None, True, False, 0, 1, 1.0, "1", "true", "a", [], [1], ["1"], {}, {"a": 1}, {"a": "1"}]
    for one in values:
        assert equal(one, one)
        for other in values:
            assert equal(one, other) == equal(other, one)


@pytest.mark.parametrize(
    ("operator", "value", "other"),
    [
        ("gt", [1], 1),
        ("lt", "a", 1),
        ("gte", True, 1),
        ("contains", 5, 5),
        ("starts-with", ["a"], "a"),
        ("match", "a", "("),
        ("match", "a", ["a"]),
    ],
)
def test_what_cannot_be_compared(operator: Any, value: Any, other: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"^here: "):
        holds(operator, value, other, "here")


def test_a_regular_expression_that_takes_for_ever_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conditions, "LONGEST_MATCH", 0.01)
    with pytest.raises(InvalidInputError, match=r"takes more than 0\.01 s"):
        holds("match", "a" * 5000 + "b", "(a+)+(a+)+(a+)+c(a+)+$|^(a|aa|aaa)+$", "here")
