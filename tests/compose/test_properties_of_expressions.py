"""What holds for every template, tried with generated ones."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from mcnb.compose.expressions import Template, parse_template, parse_tree, render, walk
from mcnb.errors import ExpressionError
from tests.compose.generated import TEMPLATES, TEXT, VALUES, attempt, few, many


def parsed(text: str) -> Template | None:
    """The template; None when the text is none, which has to be said with a place inside the text."""
    template, error = attempt(ExpressionError, lambda: parse_template(text))
    if error is not None:
        assert error.message
        assert error.offset is not None
        assert 0 <= error.offset <= len(text)
    return template


class TestTemplates:
    @many
    @given(TEXT | TEMPLATES)
    def test_any_text_is_a_template_or_an_error_with_a_place(self, text):
        template = parsed(text)
        if template is not None:
            assert template.text == text
            for expression, _ in walk(template):
                assert text.startswith("${", expression.offset)

    @many
    @given(TEXT | TEMPLATES)
    def test_escaping_keeps_any_text(self, text):
        written = text.replace("${", "\\${")

        assert parse_template(written).constant == text
        assert render(parse_template(written + "|${x}"), {"x": 1}) == text + "|1"

    @many
    @given(TEMPLATES, st.dictionaries(st.sampled_from(["a", "b", "input"]), VALUES, max_size=3))
    def test_rendering_gives_a_value_or_an_expression_error(self, text, values):
        template = parsed(text)
        if template is not None:
            sources = {"input": values, "env": {}, "jobs": {}}
            value, error = attempt(ExpressionError, lambda: render(template, sources))
            if error is not None:
                assert error.message
            elif template.sole is None:
                assert isinstance(value, str)

    @few
    @given(TEXT | TEMPLATES, TEXT | TEMPLATES)
    def test_values_pass_through_untouched(self, value, other):
        sources = {"input": {"a": value, "b": other}}

        assert render(parse_template("${input.a}"), sources) == value
        assert render(parse_template("<${input.a}|${input.b}>"), sources) == f"<{value}|{other}>"
        assert render(parse_template("${input.none | ${input.a}}"), sources) == value

    @few
    @given(VALUES)
    def test_trees_keep_their_shape(self, tree):
        try:
            rendered = render(parse_tree(tree), {})
        except ExpressionError:
            return
        if "..." not in json.dumps(tree, default=str):
            assert _shape(rendered) == _shape(tree)


def _shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shape(item) for item in value]
    return None if isinstance(value, str) or value is None else value if value == value else "nan"
