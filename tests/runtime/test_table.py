"""Tables: what they hold, and what they look like."""

from __future__ import annotations

import sys
from datetime import datetime, timezone

import pytest

from mcnb.errors import NotSupportedError
from mcnb.runtime.table import LONGEST_CELL, Table

ROWS = [["tiny", 3, None], ["a/larger-one", 12_345, 22.46]]


@pytest.fixture
def table() -> Table:
    return Table(["model", "size", "speed"], ROWS)


def test_rows_are_mappings(table: Table) -> None:
    assert len(table) == 2
    assert table.columns == ("model", "size", "speed")
    assert table[1] == {"model": "a/larger-one", "size": 12_345, "speed": 22.46}
    assert [row["model"] for row in table] == ["tiny", "a/larger-one"]
    assert table[-1] == table[1]
    assert list(table[1:]) == [table[1]]
    with pytest.raises(IndexError):
        table[2]


def test_text_is_aligned_and_numbers_stand_at_the_right(table: Table) -> None:
    assert repr(table) == "\n".join(
        [
            "model          size  speed",
            "tiny              3",
            "a/larger-one  12345   22.5",
        ]
    )
    assert table._repr_mimebundle_()["text/plain"] == repr(table)


def test_wide_characters_are_aligned() -> None:
    lines = repr(Table(["text", "n"], [["老虎", 1], ["tiger", 2], ["e\u0301", 3]])).splitlines()
    assert lines == ["text   n", "老虎   1", "tiger  2", "e\u0301      3"]


def test_cells() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    table = Table(["when", "used", "text"], [[when, True, "two\nlines"], [when, False, "x" * 500]])
    first, second = repr(table).splitlines()[1:]
    assert first == "2026-01-02 03:04:05  yes   two lines"
    assert second.endswith("x…")
    assert len(second.split()[-1]) == LONGEST_CELL
    assert len(table[1]["text"]) == 500, "the value stays whole"


def test_html_is_escaped_and_has_no_colours(table: Table) -> None:
    shown = Table(["<b>"], [["<script>alert(1)</script> & co"]])._repr_mimebundle_()["text/html"]
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in shown
    html = table._repr_mimebundle_()["text/html"]
    assert html.count("<tr>") == 3
    assert "color" not in html
    assert "background" not in html


def test_without_rows_it_says_so() -> None:
    table = Table(["run"], [], empty="no runs <yet>")
    assert table._repr_mimebundle_() == {"text/plain": "no runs <yet>", "text/html": "<p>no runs &lt;yet&gt;</p>"}
    assert list(table) == []
    assert list(table.to_pandas().columns) == ["run"]


def test_a_data_frame(table: Table) -> None:
    frame = table.to_pandas()
    assert list(frame.columns) == ["model", "size", "speed"]
    assert list(frame["size"]) == [3, 12_345]


def test_without_pandas_the_error_says_what_to_do(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(NotSupportedError, match="a DataFrame needs pandas; pip install pandas"):
        table.to_pandas()


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="1 values for 2 columns"):
        Table(["a", "b"], [["only one"]])


def test_tables_with_equal_rows_are_equal(table: Table) -> None:
    assert table == Table(["model", "size", "speed"], ROWS)
    assert table != Table(["model", "size", "speed"], [])
