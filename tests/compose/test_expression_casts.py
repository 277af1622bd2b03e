from __future__ import annotations

import pytest

from mcnb.compose.expressions import TypeSpec
from mcnb.compose.expressions.casts import cast
from mcnb.errors import ExpressionError

HUGE = 10**400


def converted(value, name, **more):
    return cast(value, TypeSpec(name, **more), what="input.x")


@pytest.mark.parametrize(
    ("value", "name", "result"),
    [
        (None, "integer", None),
        (3.0, "integer", 3),
        (" -42 ", "integer", -42),
        (HUGE, "integer", HUGE),
        ("1e3", "number", 1000.0),
        (".5", "number", 0.5),
        ("7", "number", 7),
        (HUGE, "number", HUGE),
        ("On", "boolean", True),
        ("no", "boolean", False),
        (1, "boolean", True),
        (0, "boolean", False),
        (5, "text", "5"),
        (True, "string", "True"),
        ('{"a": 1}', "object", {"a": 1}),
        ("[1, 2]", "list", [1, 2]),
        ((1, 2), "list", [1, 2]),
        ("not json", "stream", "not json"),
        ({"a": 1}, "json", {"a": 1}),
    ],
)
def test_conversion(value, name, result):
    found = converted(value, name)

    assert found == result
    assert type(found) is type(result)


@pytest.mark.parametrize(
    ("value", "name", "message"),
    [
        (3.5, "integer", "input.x: expected an integer, got 3.5"),
        (True, "integer", "input.x: expected an integer, got True"),
        ("1_000", "integer", "input.x: expected an integer, got '1_000'"),
        ("9" * 301, "integer", f"input.x: expected an integer, got '{'9' * 76}..."),
        ("1_0.0", "number", "input.x: expected a number, got '1_0.0'"),
        ("nan", "number", "input.x: expected a number, got 'nan'"),
        ("1e999", "number", "input.x: expected a number, got '1e999'"),
        (float("inf"), "number", "input.x: expected a number, got inf"),
        (False, "number", "input.x: expected a number, got False"),
        ([], "number", "input.x: expected a number, got []"),
        (2, "boolean", "input.x: expected true or false, got 2"),
        (1.0, "boolean", "input.x: expected true or false, got 1.0"),
        ("{", "json", "input.x: expected JSON, got '{'"),
        ("NaN", "json", "input.x: expected JSON, got 'NaN'"),
        ("[" * 100_000, "json", f"input.x: expected JSON, got '{'[' * 76}..."),
        ("[1]", "object", "input.x: expected an object, got '[1]'"),
        ("abc", "list", "input.x: expected a list, got 'abc'"),
        ({"a": 1}, "list", "input.x: expected a list, got {'a': 1}"),
    ],
)
def test_what_would_lose_information_is_refused(value, name, message):
    with pytest.raises(ExpressionError) as caught:
        cast(value, TypeSpec(name), what="input.x", offset=7)

    assert caught.value.message == message
    assert caught.value.offset == 7


def test_arrays_say_which_item():
    assert converted(["1", 2], "integer", is_array=True) == [1, 2]
    assert converted("[1, 2]", "text", is_array=True) == ["1", "2"]

    with pytest.raises(ExpressionError, match=r"^input\.x\[1\]: expected an integer, got 'b'$"):
        converted(["1", "b"], "integer", is_array=True)


def test_projection_of_objects():
    rows = [{"id": 1, "n": 2}, {"n": 3}]

    assert converted(rows, "object", is_array=True, options=("id",)) == [{"id": 1}, {"id": None}]
    with pytest.raises(ExpressionError, match="expected a list of objects, got 5"):
        converted([5], "object", is_array=True, options=("id",))


def test_select_takes_its_options_only():
    assert converted(5, "select", options=("5", "6")) == "5"

    with pytest.raises(ExpressionError, match=r"^input\.x: expected one of a, b, got 'c'$"):
        converted("c", "select", options=("a", "b"))
