"""What the form asks for, made from documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcnb.compose import Document, load_document
from mcnb.notebook.form.reading import read_inputs
from mcnb.notebook.form.spec import OTHER, raw, workflows


def described(document: Any) -> dict[str, Any]:
    """Describe the one workflow of a document."""
    (found,) = workflows(read(document))
    return found


def read(document: Any) -> Document:
    return load_document(text=json.dumps(document))


def component(text: str = "${input.a}", **action: Any) -> dict[str, Any]:
    return {"component": {"model": "a/model", "text": text, **action}}


def field(text: str, **action: Any) -> dict[str, Any]:
    return next(item for item in described(component(text, **action))["fields"] if item["name"] == "a")


@pytest.mark.parametrize(
    ("type_", "kind", "default"),
    [
        ("text", "text", ""),
        ("string", "string", ""),
        ("integer", "integer", ""),
        ("number", "number", ""),
        ("boolean", "boolean", False),
        ("select/x,y", "select", ""),
        ("list", "list", ""),
        ("text[]", "list", ""),
        ("integer[]", "list", ""),
        ("json", "json", ""),
        ("object", "json", ""),
        ("object[]", "json", ""),
    ],
)
def test_each_type_has_a_control(type_: str, kind: str, default: Any) -> None:
    found = field(f"${{input.a as {type_}}}")
    assert (found["kind"], found["default"], found["required"]) == (kind, default, True)


@pytest.mark.parametrize(
    ("expression", "shown"),
    [
        ("text | some words", "some words"),
        ("integer | 3", "3"),
        ("number | 0.5", "0.5"),
        ("number | 1", "1"),
        ("boolean | true", True),
        ("boolean | false", False),
        ("select/x,y | y", "y"),
        ('text[] | ["p", "q"]', "p\nq"),
    ],
)
def test_a_default_is_shown(expression: str, shown: Any) -> None:
    found = field(f"${{input.a as {expression}}}")
    assert (found["default"], found["required"]) == (shown, False)


DEFAULTS = ["words", 3, 0.123456789, 1234567.5, 1e22, -0.5, True, {"k": [1, {"b": None}]}]

LISTS = [["p", "q"], [1, 2], [1, "b"], [{"role": "user"}], ["a\nb"], ["[1]"], [""], ["  "], ["a\x0bb\u2028c"], ["\r"]]


@pytest.mark.parametrize("value", [*DEFAULTS, *LISTS])
def test_a_control_that_is_left_alone_gives_the_default_itself(value: Any) -> None:
    kinds = {bool: "boolean", int: "integer", float: "number", dict: "json", list: "list", str: "text"}
    item = {"name": "a", "kind": kinds[type(value)], "default": raw(value, kinds[type(value)]), "required": True}
    json.dumps(item)
    assert read_inputs([item], {}) == {"a": value}


def test_the_default_of_a_document_comes_back_as_it_was() -> None:
    found = described(component('${input.a as list | [1, "b", {"c": 2}]}'))
    assert read_inputs(found["fields"], {}) == {"a": [1, "b", {"c": 2}]}


def test_title_and_description_are_the_document_s() -> None:
    found = field("${input.a as text @(title The Question) @(description What it is about)}")
    assert (found["label"], found["description"]) == ("The Question", "What it is about")
    assert field("${input.a}")["label"] == "A"


def test_a_name_becomes_a_label() -> None:
    (found,) = described(component("${input.my_long_name}"))["fields"]
    assert found["label"] == "My long name"


@pytest.mark.parametrize(
    ("expression", "limits"),
    [
        ("integer @(range 1..5)", (1, 5, 1)),
        ("number @(range 0..1)", (0, 1, 0.01)),
        ("number @(range 0..500)", (0, 500, 1)),
        ("number @(range 2..)", (2, None, 0.01)),
        ("number @(range ..9)", (None, 9, 0.01)),
        ("number @(range 3..3)", (3, 3, 0.01)),
        ("integer", (None, None, 1)),
    ],
)
def test_limits(expression: str, limits: tuple[Any, ...]) -> None:
    found = field(f"${{input.a as {expression}}}")
    assert (found["low"], found["high"], found["step"]) == limits


def test_only_numbers_have_limits_and_only_choices_have_options() -> None:
    text, choice = field("${input.a as text}"), field("${input.a as select/x,y}")
    assert choice["options"] == ["x", "y"]
    assert not {"low", "high", "step", "options"} & set(text)
    assert not {"low", "high", "step"} & set(choice)


def test_a_default_from_another_input_is_a_hint() -> None:
    found = field("${input.a as text | ${input.b as text}}")
    assert (found["default"], found["placeholder"], found["required"]) == ("", "${input.b as text}", False)


def test_types_that_nobody_declared_are_guessed_from_where_the_value_goes() -> None:
    found = described(component("${input.a}", params={"temperature": "${input.t}"}, max_output_length="${input.n}"))
    assert {item["name"]: item["kind"] for item in found["fields"]} == {"a": "text", "t": "number", "n": "integer"}


def test_an_open_workflow_takes_further_inputs() -> None:
    (further,) = described({**component("${input}")})["fields"]
    assert (further["name"], further["kind"], further["required"]) == (OTHER, "json", False)
    assert OTHER not in described(component("${input}"))["lines"]


def test_lines_can_fill_texts() -> None:
    found = described(component("${input.a as text} ${input.b as string} ${input.n as integer} ${input.l as text[]}"))
    assert found["lines"] == ["a", "b"]


def test_several_workflows() -> None:
    jobs = [{"id": "j", "component": "m", "input": {"a": "${input.x as integer}"}}]
    found = workflows(
        read(
            {
                "workflows": [
                    {"id": "first", "title": "The First", "description": "It is first.", "default": True, "jobs": jobs},
                    {"id": "second", "jobs": [{"id": "j", "component": "m", "input": {"a": "${input.y as text}"}}]},
                ],
                "components": [{"id": "m", **component()["component"]}],
            }
        )
    )
    assert [(item["id"], item["title"], item["description"]) for item in found] == [
        ("first", "The First", "It is first."),
        ("second", "Second", ""),
    ]
    assert [[(field["name"], field["kind"]) for field in item["fields"]] for item in found] == [
        [("x", "integer")],
        [("y", "text")],
    ]
    json.dumps(found)


def parameters(document: Any) -> dict[str, tuple[str, str]]:
    return {item["name"]: (item["default"], item["source"]) for item in described(document)["parameters"]}


def test_parameters_that_the_document_does_not_mention_show_the_library_s() -> None:
    found = parameters(component())
    assert found["temperature"] == ("0.7", "default")
    assert found["max_output_length"] == ("1024", "default")
    assert found["do_sample"] == ("true", "default")
    assert described(component())["seed"] is None


def test_parameters_of_the_document() -> None:
    found = parameters(component(params={"temperature": 0.25, "do_sample": False}, max_output_length=64))
    assert found["temperature"] == ("0.25", "document")
    assert found["do_sample"] == ("false", "document")
    assert found["max_output_length"] == ("64", "document")
    assert found["top_p"] == ("0.9", "default")


def test_an_expression_as_a_parameter_s_value_is_shown_as_written() -> None:
    document = component("${input.a}", params={"temperature": "${input.t as number | 0.5}"})
    assert parameters(document)["temperature"] == ("${input.t as number | 0.5}", "document")


def test_the_seed_of_the_document() -> None:
    assert described(component(seed=4))["seed"] == "4"


def test_several_actions_say_different_things() -> None:
    def job(name: str, **more: Any) -> dict[str, Any]:
        return {"id": name, "component": name, "input": {"a": "${input.a}"}, **more}

    def part(name: str, temperature: Any) -> dict[str, Any]:
        return {"id": name, **component(params={"temperature": temperature, "top_k": 3})["component"]}

    jobs = [job("p"), job("q", depends_on=["p"])]
    found = parameters({"workflow": {"jobs": jobs}, "components": [part("p", 0.1), part("q", 0.9)]})
    assert found["temperature"] == ("0.1 / 0.9", "document")
    assert found["top_k"] == ("3", "document"), "said twice, shown once"


def test_controls_of_parameters_have_their_limits() -> None:
    found = {item["name"]: item for item in described(component())["parameters"]}
    assert (found["temperature"]["low"], found["temperature"]["high"]) == (0, 2)
    assert found["max_output_length"]["low"] == 1
    assert all(item["kind"] in ("integer", "number", "boolean") for item in found.values())


def test_a_truth_value_whose_default_is_known_later_is_left_out() -> None:
    found = field("${input.a as boolean | ${input.b as boolean | false}}")
    assert (found["kind"], found["options"], found["default"]) == ("select", ["true", "false"], "")
    assert read_inputs([found], {}) == {}
    assert read_inputs([found], {"a": "true"}) == {"a": "true"}
