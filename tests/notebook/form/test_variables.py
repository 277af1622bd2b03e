"""Values that the form is pointed at by name: looked up, never evaluated."""

from __future__ import annotations

from typing import Any

import pandas
import pytest

from mcnb.errors import InvalidInputError
from mcnb.notebook.form.variables import MAX_OFFERED, look_up, offered

FRAME = pandas.DataFrame({"prompt": ["a"], "two words": ["b"], 'q"uote': ["c"], 5: ["d"]})

VARIABLES: dict[str, Any] = {"names": ["a", "b"], "df": FRAME, "table": {"x": ["y"]}, "_hidden": ["z"], "größe": ["u"]}


@pytest.mark.parametrize("text", ["names", "  names  "])
def test_a_name(text: str) -> None:
    assert look_up(text, VARIABLES) is VARIABLES["names"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("df.prompt", "a"),
        ("df . prompt", "a"),
        ('df["prompt"]', "a"),
        ("df['prompt']", "a"),
        ('df[ "two words" ]', "b"),
        ("df['q\"uote']", "c"),
        ('table["x"]', "y"),
        ("größe", "u"),
    ],
)
def test_a_column(text: str, value: str) -> None:
    assert list(look_up(text, VARIABLES)) == [value]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "1",
        "names[0]",
        "names()",
        "names; import os",
        "__import__('os').system('true')",
        'df["prompt"]["x"]',
        "df.prompt.values",
        "f(x)",
        "df[prompt]",
        "names + names",
        "names\nnames",
        "x" * 10_000 + "!",
        "df" + " " * 20_000 + "!",
    ],
)
def test_what_is_no_name_is_never_evaluated(text: str) -> None:
    class Trap(dict[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise AssertionError(f"it looked at {key}")

    with pytest.raises(InvalidInputError, match="is not the name of a variable"):
        look_up(text, Trap(VARIABLES))


def test_a_name_that_nothing_has() -> None:
    with pytest.raises(InvalidInputError, match="there is no variable 'name'") as caught:
        look_up("name", VARIABLES)
    assert "names" in str(caught.value.hint)
    with pytest.raises(InvalidInputError, match="there is no variable 'zzz'") as caught:
        look_up("zzz", {})
    assert caught.value.hint == "define it in a cell first"


@pytest.mark.parametrize("text", ["df.promt", 'df["promt"]', "names.prompt", "df.columns", "table.keys"])
def test_a_column_that_nothing_has(text: str) -> None:
    with pytest.raises(InvalidInputError, match="has no column"):
        look_up(text, VARIABLES)


def test_what_is_offered() -> None:
    more = {**VARIABLES, "empty": [], "n": 5, "text": "a", "In": ["x"], "Out": ["y"], "_1": ["z"], "pair": ("a", "b")}
    found = offered(more)
    assert found == ["names", "df", 'df["prompt"]', 'df["two words"]', "df['q\"uote']", "größe", "pair"]
    for name in found:
        look_up(name, more)


def test_only_so_many_are_offered() -> None:
    assert len(offered({f"x{number}": ["a"] for number in range(MAX_OFFERED * 2)})) == MAX_OFFERED
