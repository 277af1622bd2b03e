"""Which inputs a workflow asks for."""

from __future__ import annotations

import pytest

from mcnb.compose.inputs import parse_range
from tests.compose.documents import brief, component, load


def inputs(text, workflow=None):
    return load(text).inputs(workflow)


def only(written, field="text"):
    """The input of a component whose text is `written`."""
    (item,) = (
        inputs(component("", prompt=f"'{written}'")) if field == "text" else inputs(component(f"{field}: '{written}'"))
    )
    return item


class TestOneExpression:
    def test_untyped_is_a_required_text(self):
        item = only("${input.question}")

        assert (item.name, str(item.type), item.declared, item.required) == ("question", "text", False, True)
        assert (item.default, item.default_text, item.annotations) == (None, None, {})

    def test_declared(self):
        item = only("Repeat ${input.n as integer} times")

        assert (str(item.type), item.declared) == ("integer", True)

    def test_default_has_the_type(self):
        item = only("${input.n as integer | 5}")

        assert (item.default, item.default_text, item.required) == (5, "5", False)

    def test_a_default_of_other_inputs_has_no_value(self):
        first, second = inputs(component("", prompt="""'${input.a | "${input.b}!"}'"""))

        assert (first.default, first.default_text, first.required) == (None, '"${input.b}!"', False)
        assert (second.name, second.required) == ("b", False)

    def test_annotations(self):
        item = only("${input.n as integer | 5 @(description How many) @(range 1..10) @(title N)}")

        assert item.description == "How many"
        assert item.range == (1.0, 10.0)
        assert item.annotations["title"] == "N"

    def test_select(self):
        item = only("${input.size as select/small,large | small}")

        assert (item.options, item.default) == (("small", "large"), "small")

    def test_deep_paths_ask_for_the_whole(self):
        assert brief([only("${input.user.name as integer}")]) == [("user", "object", True)]
        assert brief([only("${input.rows[0]}")]) == [("rows", "list", True)]
        assert brief([only("${input.rows[0] | none}")]) == [("rows", "list", False)]

    def test_an_index_is_an_input_too(self):
        assert brief(inputs(component("", prompt="'${input.rows[${input.n}]}'"))) == [
            ("rows", "list", True),
            ("n", "text", True),
        ]

    def test_other_roots_are_none(self):
        assert brief(inputs(component("", prompt="'${context.run_id} ${env.HOME}'"))) == []

    def test_the_whole_input_opens_the_workflow(self):
        found = inputs(component("", prompt="'${input} ${input.a}'"))

        assert found.open
        assert found.names == ("a",)
        assert not inputs(component("")).open


class TestFieldsGuessTypes:
    @pytest.mark.parametrize(
        ("field", "guess"),
        [
            ("temperature", "number"),
            ("top_k", "integer"),
            ("do_sample", "boolean"),
            ("max_output_length", "integer"),
            ("seed", "integer"),
            ("batch_size", "integer"),
            ("stop_sequences", "text"),
        ],
    )
    def test_a_whole_field(self, field, guess):
        (item,) = inputs(component("params: {" + field + ": '${input.x}'}"))

        assert (str(item.type), item.declared, item.required) == (guess, False, True)

    def test_a_guessed_default_has_the_guessed_type(self):
        (item,) = inputs(component("params: {top_k: '${input.k | 50}'}"))

        assert (item.default, item.default_text, item.declared) == (50, "50", False)

    def test_what_is_said_beats_what_is_guessed(self):
        (item,) = inputs(component("params: {top_k: '${input.k}', top_p: '${input.k as number | 1}'}"))

        assert (str(item.type), item.declared, item.default, item.required) == ("number", True, 1, False)


class TestSeveralUses:
    def test_order_is_that_of_first_use_and_the_prompt_comes_first(self):
        text = component(
            "max_output_length: ${input.n as integer | 5}\nparams: {temperature: '${input.t as number | 0.5}'}",
            prompt="'${input.b} ${input.a} ${input.b}'",
        )

        assert inputs(text).names == ("b", "a", "t", "n")

    def test_one_default_is_enough(self):
        (item,) = inputs(component("", prompt="'${input.a} ${input.a | x}'"))

        assert (item.required, item.default) == (False, "x")

    def test_needed_once_is_needed(self):
        first, second = inputs(component("", prompt="'${input.a | ${input.b}} ${input.b}'"))

        assert (first.required, second.required) == (False, True)

    def test_and_it_does_not_matter_where(self):
        first, second = inputs(component("", prompt="'${input.b} ${input.a | ${input.b}}'"))

        assert (first.name, first.required, second.required) == ("b", True, False)

    def test_annotations_come_together_and_the_first_wins(self):
        (item,) = inputs(component("", prompt="'${input.a @(title A) @(x 1)} ${input.a @(title B) @(y 2)}'"))

        assert item.annotations == {"title": "A", "x": "1", "y": "2"}


@pytest.mark.parametrize(
    ("text", "bounds"),
    [("0..1", (0, 1)), ("-1.5 .. 2", (-1.5, 2)), ("1..", (1, None)), ("..5", (None, 5)), ("3..3", (3, 3))],
)
def test_ranges(text, bounds):
    assert parse_range(text) == bounds


@pytest.mark.parametrize("text", ["", "..", "1", "a..b", "1..nan", "1...2", "inf..", "1e3.."])
def test_what_is_no_range(text):
    with pytest.raises(ValueError, match=r"a range is written low\.\.high"):
        parse_range(text)
