"""The contract of expressions: every row of the table."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcnb.compose.expressions import parse_tree, render
from mcnb.errors import ExpressionError
from tests.compose.documents import DATA

TABLE = json.loads((DATA / "expressions.json").read_text(encoding="utf-8"))


def _name(row: dict[str, Any]) -> str:
    template = row["template"]
    return template if isinstance(template, str) else json.dumps(template)


def test_the_table_is_whole():
    assert len(TABLE["vectors"]) == 90
    assert all(("expect" in row) != ("error" in row) for row in TABLE["vectors"])


@pytest.mark.parametrize("row", [row for row in TABLE["vectors"] if "expect" in row], ids=_name)
def test_value(row):
    value = render(parse_tree(row["template"]), TABLE["sources"])

    assert value == row["expect"]
    assert type(value) is type(row["expect"])  # 1, 1.0 and True are equal in Python


@pytest.mark.parametrize("row", [row for row in TABLE["vectors"] if row.get("error")], ids=_name)
def test_error(row):
    with pytest.raises(ExpressionError) as caught:
        render(parse_tree(row["template"]), TABLE["sources"])

    assert caught.value.offset is not None
    assert 0 <= caught.value.offset <= len(row["template"])
    assert caught.value.message
