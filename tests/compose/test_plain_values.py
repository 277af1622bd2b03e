"""What notebooks hold becomes JSON data. The libraries are recognised by what they can do, not by name."""

from __future__ import annotations

import enum
import json
from collections import OrderedDict, UserDict
from pathlib import Path, PurePosixPath
from types import MappingProxyType

import pytest

from mcnb.compose.plain_values import MAX_VALUES, plain_values
from mcnb.errors import InvalidInputError


class Scalar:
    """Like ``numpy.int64``."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


class Array:
    """Like ``numpy.ndarray`` and ``pandas.Series``: ``item`` fails for more than one value."""

    def __init__(self, values):
        self.values = values

    def tolist(self):
        return list(self.values)

    def item(self):
        raise ValueError("can only convert an array of size 1 to a Python scalar")


class Lazy(Array):
    def tolist(self):
        raise TypeError("not here")

    def item(self):
        return 7


class Colour(str, enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


class FancyText(str):
    def __str__(self):
        return "something else"


class FancyFloat(float):
    """Like ``numpy.float64``."""


def plain(value):
    (found,) = plain_values({"x": value}).values()
    return found


@pytest.mark.parametrize(
    ("value", "result"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (0.5, 0.5),
        ("text", "text"),
        (Scalar(5), 5),
        (Scalar("a"), "a"),
        (Array([1, 2]), [1, 2]),
        (Array([Scalar(1), Array([2.5])]), [1, [2.5]]),
        (Lazy([]), 7),
        ((1, (2, 3)), [1, [2, 3]]),
        (OrderedDict(a=(1,)), {"a": [1]}),
        (UserDict(a=1), {"a": 1}),
        (MappingProxyType({1: "a"}), {"1": "a"}),
        (Path("a") / "b", str(Path("a/b"))),
        (PurePosixPath("/x"), "/x"),
        (Colour.RED, "red"),
        (Level.LOW, 1),
        (FancyText("plain"), "plain"),
        (FancyFloat(1.5), 1.5),
    ],
    ids=repr,
)
def test_value(value, result):
    found = plain(value)

    assert found == result
    assert type(found) is type(result)
    assert json.loads(json.dumps(found)) == result


def test_real_arrays():
    numpy = pytest.importorskip("numpy")

    assert plain(numpy.int64(5)) == 5
    assert type(plain(numpy.float32(0.5))) is float
    assert type(plain(numpy.bool_(True))) is bool
    assert type(plain(numpy.str_("a"))) is str
    assert plain(numpy.arange(4).reshape(2, 2)) == [[0, 1], [2, 3]]
    assert plain(numpy.array("text")) == "text"
    with pytest.raises(InvalidInputError, match=r"^input 'x\[1\]': nan is not a finite number$"):
        plain(numpy.array([1.0, numpy.nan]))


def test_real_columns():
    pandas = pytest.importorskip("pandas")

    assert plain(pandas.Series(["a", "b"])) == ["a", "b"]
    assert plain(pandas.Series([1, 2]).iloc[0]) == 1
    with pytest.raises(InvalidInputError, match="a DataFrame cannot be used as an input"):
        plain(pandas.DataFrame({"a": [1]}))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "input 'x': nan is not a finite number"),
        ([1, float("inf")], "input 'x[1]': inf is not a finite number"),
        ({"a": {"b": object()}}, "input 'x.a.b': a object cannot be used as an input"),
        ({1, 2}, "input 'x': a set cannot be used as an input"),
        (b"bytes", "input 'x': a bytes cannot be used as an input"),
        (1j, "input 'x': a complex cannot be used as an input"),
        (10**400, "input 'x': the number is too large"),
        ("a\ud800b", "input 'x': the text holds half a character (a lone surrogate), which is not Unicode"),
        ({"\udfff": 1}, "input 'x': the text holds half a character (a lone surrogate), which is not Unicode"),
        ("x" * 16_000_001, "input 'x': the input has more than 16,000,000 characters"),
        ([0] * (MAX_VALUES + 1), f"input 'x[{MAX_VALUES - 1}]': the input has more than 1,000,000 values"),
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_is_no_input(value, message):
    with pytest.raises(InvalidInputError) as caught:
        plain(value)

    assert caught.value.message == message
    assert caught.value.errors == ({"field": "x", "message": message},)


def test_names_are_held_to_the_same_rules():
    assert plain_values({5: "a"}) == {"5": "a"}
    with pytest.raises(InvalidInputError) as caught:
        plain_values({"\ud800": "a"})
    caught.value.message.encode()  # it can be sent


def test_what_holds_itself_ends():
    endless: list[object] = []
    endless.append(endless)

    class Mirror:
        def item(self):
            return self

    for value in (endless, Mirror()):
        with pytest.raises(InvalidInputError, match=r"nested deeper than 64 levels"):
            plain(value)


def test_shared_parts_cannot_be_multiplied():
    shared: list[object] = ["x"]
    for _ in range(40):  # 2 ** 40 values
        shared = [shared, shared]

    with pytest.raises(InvalidInputError, match="the input has more than 1,000,000 values"):
        plain(shared)
