"""What the controls hold, read as inputs, parameters and a seed."""

from __future__ import annotations

from typing import Any

import pytest

from mcnb.errors import InvalidInputError
from mcnb.notebook.form.reading import draw_seed, read_inputs, read_parameters, read_seed
from mcnb.notebook.form.spec import OTHER


def control(kind: str, default: Any = "", *, required: bool = True, name: str = "a") -> dict[str, Any]:
    return {"name": name, "kind": kind, "default": default, "required": required}


def refused(error: InvalidInputError) -> dict[str, str]:
    return {item["field"]: item["message"] for item in error.errors}


@pytest.mark.parametrize(
    ("kind", "held", "value"),
    [
        ("text", "some\nwords", "some\nwords"),
        ("text", "  kept as it is ", "  kept as it is "),
        ("text", '"quoted" {braces} $5 50 %', '"quoted" {braces} $5 50 %'),
        ("string", "5", "5"),
        ("select", "x", "x"),
        ("integer", "12", 12),
        ("integer", " -3 ", -3),
        ("number", "0.5", 0.5),
        ("number", "1e3", 1000.0),
        ("boolean", True, True),
        ("boolean", False, False),
        ("list", "p\nq", ["p", "q"]),
        ("list", "p\n\n  \nq\n", ["p", "q"]),
        ("list", '["p", 1]', ["p", 1]),
        ("list", "[x] not JSON\nq", ["[x] not JSON", "q"]),
        ("list", "a\u2028b", ["a\u2028b"]),
        ("json", '{"k": [1, null]}', {"k": [1, None]}),
        ("json", "null", None),
        ("json", " 5 ", 5),
    ],
)
def test_what_controls_hold(kind: str, held: Any, value: Any) -> None:
    assert read_inputs([control(kind)], {"a": held}) == {"a": value}


@pytest.mark.parametrize(
    ("kind", "held", "message"),
    [
        ("integer", "1.5", "Expected a whole number, got '1.5'."),
        ("integer", "x", "Expected a whole number, got 'x'."),
        ("integer", "9" * 5000, None),
        ("number", "x", "Expected a number, got 'x'."),
        ("json", "{", "Not valid JSON (line 1: Expecting property name enclosed in double quotes)."),
        ("json", '{"a": 1,\n}', None),
        ("json", "[" * 100_000, None),
        ("json", "   ", None),
    ],
)
def test_what_cannot_be_read(kind: str, held: str, message: str | None) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_inputs([control(kind)], {"a": held})
    (said,) = refused(caught.value).values()
    assert message in (None, said)
    assert len(said) < 6000


@pytest.mark.parametrize("kind", ["text", "string", "integer", "number", "select", "list", "json"])
def test_an_empty_control(kind: str) -> None:
    assert read_inputs([control(kind, required=False)], {"a": ""}) == {}
    with pytest.raises(InvalidInputError) as caught:
        read_inputs([control(kind)], {"a": ""})
    assert refused(caught.value) == {"a": "Please fill this in."}


def test_a_deleted_default_of_a_text_gives_the_empty_text() -> None:
    assert read_inputs([control("text", "Hello", required=False)], {"a": ""}) == {"a": ""}
    assert read_inputs([control("string", "Hello", required=False)], {"a": ""}) == {"a": ""}


@pytest.mark.parametrize(("kind", "default"), [("integer", "3"), ("number", "0.5"), ("json", "{}"), ("select", "x")])
def test_a_deleted_default_of_anything_else_holds_again(kind: str, default: str) -> None:
    assert read_inputs([control(kind, default, required=False)], {"a": ""}) == {}


def test_a_control_that_was_never_touched_shows_its_default() -> None:
    assert read_inputs([control("integer", "3", required=False)], {}) == {"a": 3}
    assert read_inputs([control("text", required=False)], {}) == {}


def test_every_wrong_control_is_told_at_once() -> None:
    fields = [control("integer", name="n"), control("text", name="t"), control("json", name="j"), control("text")]
    with pytest.raises(InvalidInputError) as caught:
        read_inputs(fields, {"n": "x", "t": "", "j": "{", "a": "fine"})
    assert list(refused(caught.value)) == ["n", "t", "j"]


@pytest.mark.parametrize(("held", "value"), [("", {}), ("  ", {}), ('{"b": 1, "c": "x"}', {"b": 1, "c": "x"})])
def test_further_inputs(held: str, value: Any) -> None:
    assert read_inputs([control("json", required=False, name=OTHER)], {OTHER: held}) == value


@pytest.mark.parametrize("held", ["[1]", "5", "{", '"text"'])
def test_further_inputs_are_an_object(held: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_inputs([control("json", required=False, name=OTHER)], {OTHER: held})
    assert list(refused(caught.value)) == [OTHER]


@pytest.mark.parametrize("held", [None, 5, 1.5, [1], {"a": 1}, True])
@pytest.mark.parametrize("kind", ["text", "string", "integer", "number", "boolean", "select", "list", "json"])
def test_what_no_control_holds_is_left_to_the_check_of_the_input(kind: str, held: Any) -> None:
    assert read_inputs([control(kind)], {"a": held}) == {"a": held}
    assert read_inputs([control(kind, name=OTHER)], {OTHER: held}) == {}


# --- parameters -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "value"),
    [
        ({}, {}),
        ({"temperature": ""}, {}),
        ({"temperature": None}, {}),
        ({"temperature": "0.5"}, {"temperature": 0.5}),
        ({"temperature": 1}, {"temperature": 1.0}),
        ({"top_k": "5", "do_sample": "false"}, {"top_k": 5, "do_sample": False}),
        ({"do_sample": "true"}, {"do_sample": True}),
        ({"do_sample": True}, {"do_sample": True}),
        ({"seed": "5", "seed_locked": True, "unknown": "x"}, {}),
    ],
)
def test_parameters(held: Any, value: Any) -> None:
    assert read_parameters(held) == value


@pytest.mark.parametrize(
    ("held", "wrong"),
    [
        ({"temperature": "x"}, ["parameters.temperature"]),
        ({"temperature": "nan"}, ["parameters.temperature"]),
        ({"temperature": "-1"}, ["parameters.temperature"]),
        ({"temperature": ["0.5"]}, ["parameters.temperature"]),
        ({"top_k": "1.5", "max_output_length": "0"}, ["parameters.top_k", "parameters.max_output_length"]),
    ],
)
def test_parameters_that_are_wrong_are_told_where_they_stand(held: Any, wrong: list[str]) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_parameters(held)
    assert list(refused(caught.value)) == wrong


@pytest.mark.parametrize(
    ("held", "seed"),
    [
        ({}, None),
        ({"seed": "5"}, None),
        ({"seed": "5", "seed_locked": False}, None),
        ({"seed": "", "seed_locked": True}, None),
        ({"seed": "  ", "seed_locked": True}, None),
        ({"seed": "5", "seed_locked": True}, 5),
        ({"seed": 5, "seed_locked": True}, 5),
        ({"seed": " 0 ", "seed_locked": True}, 0),
    ],
)
def test_the_seed_is_fixed_only_while_it_is_locked(held: Any, seed: int | None) -> None:
    assert read_seed(held) == seed


@pytest.mark.parametrize("held", ["x", "1.5", "-1", "9" * 40, "9" * 5000])
def test_a_seed_that_is_none(held: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        read_seed({"seed": held, "seed_locked": True})
    assert list(refused(caught.value)) == ["parameters.seed"]


def test_a_drawn_seed_can_be_used() -> None:
    drawn = draw_seed()
    assert read_seed({"seed": str(drawn), "seed_locked": True}) == drawn
