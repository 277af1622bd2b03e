from __future__ import annotations

import re

import pytest

from mcnb.compose import check_input, parse_text_value
from mcnb.errors import InvalidInputError
from tests.compose.documents import component, load

PROMPT = (
    "'${input.prompt as text @(description Your question)} ${input.n as integer | 5 @(range 1..10)} "
    "${input.size as select/small,large | small} ${input.rows as number[] | [1] @(range 0..)} ${input.loose | x}'"
)


@pytest.fixture(scope="module")
def inputs():
    return load(component("", prompt=PROMPT)).inputs()


def wrong(inputs, values) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        check_input(inputs, values)
    return caught.value


def test_good_values_come_back_as_they_are(inputs):
    values = {"prompt": "hi", "n": "7", "size": "large", "rows": [1, 2.5], "loose": {"any": ["thing"]}}

    assert check_input(inputs, values) == values
    assert check_input(inputs, {"prompt": ""}) == {"prompt": ""}
    assert check_input(inputs, {"prompt": "hi", "n": None}) == {"prompt": "hi", "n": None}


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({}, "prompt", "the input 'prompt' (Your question) is missing"),
        (None, "prompt", "the input 'prompt' (Your question) is missing"),
        ({"prompt": None}, "prompt", "the input 'prompt' (Your question) is missing"),
        ({"prompt": "x", "n": "many"}, "n", "input 'n': expected an integer, got 'many'"),
        ({"prompt": "x", "n": 2.5}, "n", "input 'n': expected an integer, got 2.5"),
        ({"prompt": "x", "n": 0}, "n", "input 'n': must be at least 1, got 0"),
        ({"prompt": "x", "n": "11"}, "n", "input 'n': must be at most 10, got 11"),
        ({"prompt": "x", "size": "huge"}, "size", "input 'size': expected one of small, large, got 'huge'"),
        ({"prompt": "x", "rows": 5}, "rows", "input 'rows': expected a list, got 5"),
        ({"prompt": "x", "rows": [1, "b"]}, "rows", "input 'rows'[1]: expected a number, got 'b'"),
        ({"prompt": "x", "rows": [1, -1]}, "rows", "input 'rows': must be at least 0, got -1"),
        ({"prompt": "x", "promt": 1}, "promt", "there is no input 'promt'; did you mean 'prompt'?"),
        ({"prompt": "x", "zzz": 1}, "zzz", "there is no input 'zzz'; known: prompt, n, size, rows, loose"),
    ],
)
def test_one_thing_wrong(inputs, values, field, message):
    error = wrong(inputs, values)

    assert error.errors == ({"field": field, "message": message},)
    assert error.message == message
    assert error.to_dict()["code"] == "invalid_input"


def test_everything_wrong_is_told_at_once(inputs):
    error = wrong(inputs, {"n": "x", "size": "y", "promt": 1})

    assert [entry["field"] for entry in error.errors] == ["prompt", "n", "size", "promt"]
    assert error.message == "; ".join(entry["message"] for entry in error.errors)


def test_many_unknown_names_are_not_all_told(inputs):
    error = wrong(inputs, {"prompt": "x"} | {f"k{number}": 1 for number in range(500)})

    assert len(error.errors) == 20


def test_an_open_workflow_takes_any_name():
    inputs = load(component("", prompt="'${input} ${input.n as integer}'")).inputs()

    assert check_input(inputs, {"n": 1, "other": "x"}) == {"n": 1, "other": "x"}
    with pytest.raises(InvalidInputError):
        check_input(inputs, {"other": "x"})


def test_a_workflow_without_inputs():
    inputs = load(component("")).inputs()

    assert check_input(inputs, None) == {}
    with pytest.raises(InvalidInputError, match=re.escape("there is no input 'a'; this workflow takes no input")):
        check_input(inputs, {"a": 1})


@pytest.mark.parametrize("values", ["text", ["a"], 5])
def test_the_input_is_a_mapping(inputs, values):
    error = wrong(inputs, values)

    assert error.message == f"the input has to be a mapping of names to values, got {type(values).__name__}"
    assert error.hint.startswith("for example {'prompt': ...")


class TestTextsOfTheCommandLine:
    @pytest.fixture
    def inputs(self):
        prompt = (
            "'${input.t} ${input.n as integer | 1} ${input.f as number | 1} ${input.b as boolean | no} "
            "${input.l as list | []} ${input.o as object | {}} ${input.a as integer[] | []} "
            "${input.s as select/1,2 | 1}'"
        )
        return load(component("params: {top_k: '${input.k | 5}'}", prompt=prompt)).inputs()

    @pytest.mark.parametrize(
        ("name", "text", "value"),
        [
            ("t", "5", "5"),
            ("t", "[1]", "[1]"),
            ("n", "5", 5),
            ("f", "0.5", 0.5),
            ("b", "yes", True),
            ("k", "7", 7),
            ("l", "[1, 2]", [1, 2]),
            ("o", '{"a": 1}', {"a": 1}),
            ("a", "[1]", [1]),
            ("s", "2", "2"),
            ("l", "not JSON", "not JSON"),
            ("l", "[" * 100_000, "[" * 100_000),
            ("unknown", "5", "5"),
        ],
    )
    def test_value(self, inputs, name, text, value):
        found = parse_text_value(inputs, name, text)

        assert found == value
        assert type(found) is type(value)

    @pytest.mark.parametrize(
        ("name", "text", "message"),
        [
            ("n", "x", "input 'n': expected an integer, got 'x'"),
            ("b", "perhaps", "input 'b': expected true or false, got 'perhaps'"),
        ],
    )
    def test_wrong_text(self, inputs, name, text, message):
        with pytest.raises(InvalidInputError) as caught:
            parse_text_value(inputs, name, text)

        assert caught.value.errors == ({"field": name, "message": message},)
