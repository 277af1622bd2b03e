from __future__ import annotations

import pytest
from jsonschema import Draft202012Validator

from mcnb.compose import check_input, input_schema
from mcnb.errors import InvalidInputError
from tests.compose.documents import component, load

PROMPT = """'${input.prompt as text @(title Prompt) @(description What to continue) @(group first)}
  ${input.n as integer | 5 @(range 1..10)} ${input.f as number | 0.5} ${input.b as boolean | no}
  ${input.size as select/small,large | small} ${input.ids as integer[] | [1]} ${input.o as object | {}}
  ${input.rows as object[]/id,name | []} ${input.j as json | null} ${input.l as list | []}
  ${input.loose | x} ${input.other | ${input.loose}}'"""


@pytest.fixture
def document():
    return load(component("", prompt=PROMPT) + "workflow: {title: T, description: D}\n")


@pytest.fixture
def schema(document):
    return input_schema(document.inputs(), document.workflow())


def test_it_is_a_schema(schema):
    Draft202012Validator.check_schema(schema)

    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert (schema["type"], schema["title"], schema["description"]) == ("object", "T", "D")
    assert schema["required"] == ["prompt"]
    assert schema["additionalProperties"] is False
    assert list(schema["properties"]) == [
        *("prompt", "n", "f", "b", "size", "ids", "o", "rows", "j", "l", "loose", "other")
    ]


def test_properties(schema):
    found = schema["properties"]

    assert found["prompt"] == {
        "type": "string",
        "title": "Prompt",
        "description": "What to continue",
        "x-group": "first",
        "x-multiline": True,
    }
    assert found["n"] == {"type": "integer", "minimum": 1, "maximum": 10, "default": 5}
    assert found["f"] == {"type": "number", "default": 0.5}
    assert found["b"] == {"type": "boolean", "default": False}
    assert found["size"] == {"type": "string", "enum": ["small", "large"], "default": "small"}
    assert found["ids"] == {"type": "array", "items": {"type": "integer"}, "default": [1]}
    assert found["rows"]["items"] == {"type": "object", "properties": {"id": {}, "name": {}}}
    assert found["loose"] == {"x-multiline": True, "default": "x"}
    assert found["other"] == {"x-multiline": True, "x-default": "${input.loose}"}


@pytest.mark.parametrize(
    "values",
    [
        {"prompt": "x"},
        {"prompt": "x", "n": 10, "f": 1, "b": True, "size": "large", "ids": [], "o": {"a": 1}},
        {"prompt": "x", "rows": [{"id": 1, "name": "n", "more": 2}], "j": [1], "l": ["a", 1]},
        {"prompt": "x", "loose": ["any", {"thing": 1}]},
    ],
)
def test_what_it_accepts_the_check_accepts(document, schema, values):
    Draft202012Validator(schema).validate(values)

    assert check_input(document.inputs(), values) == values


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"prompt": "x", "n": "many"},
        {"prompt": "x", "n": 1.5},
        {"prompt": "x", "n": 11},
        {"prompt": "x", "n": 0},
        {"prompt": "x", "f": "x"},
        {"prompt": "x", "b": "perhaps"},
        {"prompt": "x", "size": "huge"},
        {"prompt": "x", "ids": ["a"]},
        {"prompt": "x", "ids": 1},
        {"prompt": "x", "o": [1]},
        {"prompt": "x", "rows": [1]},
        {"prompt": "x", "l": "a"},
        {"prompt": "x", "unknown": 1},
    ],
)
def test_what_the_check_refuses_it_refuses(document, schema, values):
    assert not Draft202012Validator(schema).is_valid(values)

    with pytest.raises(InvalidInputError):
        check_input(document.inputs(), values)


def test_an_open_workflow():
    document = load(component("", prompt="'${input}'"))
    schema = input_schema(document.inputs())

    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {},
        "additionalProperties": True,
    }
