"""The rows of a batch: from lists, tables and files, checked before anything starts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mcnb
from mcnb.compose import Inputs
from mcnb.errors import InvalidInputError
from mcnb.runtime.rows import read_rows

TWO = "${input.prompt as text} ${input.n as integer | 1} ${input.tags as json | []}"


def inputs(text: str = TWO, **component: Any) -> Inputs:
    spec = {"component": {"model": "./nowhere", "text": text, **component}}
    return mcnb.load_document(text=json.dumps(spec)).inputs()


def wrong(source: Any, asked: Inputs | None = None) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        read_rows(source, asked or inputs())
    return caught.value


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


# --- lists ------------------------------------------------------------------------------------------------------------


def test_mappings() -> None:
    rows = [{"prompt": "a", "n": 2}, {"prompt": "b"}]
    assert read_rows(rows, inputs()) == rows
    assert read_rows(iter(rows), inputs()) == rows
    assert read_rows([], inputs()) == []


def test_texts_go_to_the_only_required_text() -> None:
    assert read_rows(["a", "b"], inputs()) == [{"prompt": "a"}, {"prompt": "b"}]


def test_values_go_to_the_only_input() -> None:
    asked = inputs("${input.n as integer | 5}")
    assert read_rows([1, 2], asked) == [{"n": 1}, {"n": 2}]


def test_one_value_is_not_enough_for_several_inputs() -> None:
    error = wrong(["x", "y"], inputs("${input.a as text} ${input.b as text}"))
    assert error.message == "rows 1, 2: one value is not enough: give a mapping of inputs (a, b)"


def test_everything_wrong_is_told_by_row_and_field() -> None:
    error = wrong([{"prompt": "a"}, {"n": "x"}, {"prompt": "b", "promt": "c"}])
    assert error.message == (
        "row 2: the input 'prompt' is missing; row 2: input 'n': expected an integer, got 'x'; "
        "row 3: there is no input 'promt'; did you mean 'prompt'?"
    )
    assert [(item["row"], item["field"]) for item in error.errors] == [("2", "prompt"), ("2", "n"), ("3", "promt")]


def test_the_same_fault_of_many_rows_is_told_once() -> None:
    error = wrong([{}] * 1000)
    assert error.message == "rows 1, 2, 3 and 997 more: the input 'prompt' is missing"
    assert len(error.errors) == 1000


def test_not_all_of_many_faults_are_told() -> None:
    error = wrong([{"prompt": "a", f"x{number}": 1} for number in range(50)])
    assert error.message.endswith("; and 30 more")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"prompt": "a"}, "a mapping is one row"),
        (5, "got int"),
        (b"a", "got bytes"),
        (None, "got NoneType"),
    ],
)
def test_what_is_no_rows(source: Any, message: str) -> None:
    assert message in wrong(source).message


def test_an_open_workflow_takes_any_name() -> None:
    text = json.dumps(
        {
            "workflow": {"jobs": [{"component": "m", "input": {"prompt": "${input}"}}]},
            "component": {"id": "m", "model": "./nowhere", "text": "${input.prompt as text}"},
        }
    )
    asked = mcnb.load_document(text=text).inputs()
    assert read_rows([{"anything": 1}], asked) == [{"anything": 1}]


# --- pandas -----------------------------------------------------------------------------------------------------------


def test_a_dataframe() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"prompt": ["a", "b"], "n": [1, None], "tags": [[1], None]}, index=[7, 9])
    assert read_rows(frame, inputs()) == [{"prompt": "a", "n": 1.0, "tags": [1]}, {"prompt": "b"}]


def test_missing_values_of_all_kinds() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"prompt": pandas.array(["a"], dtype="string"), "n": pandas.array([pandas.NA], dtype="Int64")}
    )
    assert read_rows(frame, inputs()) == [{"prompt": "a"}]
    assert wrong(pandas.DataFrame({"prompt": ["a", None]})).message == "row 2: the input 'prompt' is missing"


def test_a_column() -> None:
    pandas = pytest.importorskip("pandas")
    assert read_rows(pandas.Series(["a", "b"]), inputs()) == [{"prompt": "a"}, {"prompt": "b"}]
    assert read_rows(pandas.Series(["a"], name="topic"), inputs()) == [{"prompt": "a"}]
    asked = inputs("${input.prompt as text} ${input.note as text | x} ${input.other as text}")
    assert "the input 'other' is missing" in wrong(pandas.Series(["a"], name="prompt"), asked).message


def test_the_columns_of_a_dataframe() -> None:
    pandas = pytest.importorskip("pandas")
    assert wrong(pandas.DataFrame({"promt": ["a"]})).message == (
        "the table: there is no input 'promt'; did you mean 'prompt'?"
    )
    double = pandas.DataFrame([["a", "b"]], columns=["prompt", "prompt"])
    assert wrong(double).message == "the table: the column 'prompt' stands twice"


def test_an_array() -> None:
    numpy = pytest.importorskip("numpy")
    assert read_rows(numpy.array(["a", "b"]), inputs()) == [{"prompt": "a"}, {"prompt": "b"}]


# --- CSV --------------------------------------------------------------------------------------------------------------


def test_csv_has_the_types_of_the_inputs(tmp_path: Path) -> None:
    text = '﻿n,prompt,tags\r\n2,"a, ""b""\nc","[1]"\r\n,5,\r\n\r\n3,ü,\r\n'
    found = read_rows(str(write(tmp_path / "rows.CSV", text)), inputs())
    assert found == [{"n": 2, "prompt": 'a, "b"\nc', "tags": [1]}, {"prompt": "5"}, {"n": 3, "prompt": "ü"}]


def test_what_is_wrong_in_csv_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path / "rows.csv", 'prompt,n\n"two\nlines",1\na\nb,x\n,2\n')
    assert wrong(path).message == (
        "row 2 (rows.csv:4): the columns are 2, its values 1; "
        "row 3 (rows.csv:5): input 'n': expected an integer, got 'x'; "
        "row 4 (rows.csv:6): the input 'prompt' is missing"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "rows.csv:1: the file is empty"),
        ("promt\na\n", "rows.csv:1: there is no input 'promt'; did you mean 'prompt'?"),
        ("prompt,prompt\na,b\n", "rows.csv:1: the column 'prompt' stands twice"),
        ("prompt,\na,b\n", "rows.csv:1: column 2 has no name"),
        ("prompt;n\na;1\n", "rows.csv:1: only one column, 'prompt;n'"),
        ('prompt\n"a"b\n', "rows.csv:2: not valid CSV"),
        (b"prompt\n\xe4\n", "not UTF-8 text"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str | bytes, message: str) -> None:
    assert message in wrong(write(tmp_path / "rows.csv", text)).message


def test_a_header_alone_is_no_row(tmp_path: Path) -> None:
    assert read_rows(write(tmp_path / "rows.csv", "prompt\n"), inputs()) == []


# --- JSONL ------------------------------------------------------------------------------------------------------------


def test_jsonl(tmp_path: Path) -> None:
    text = '﻿{"prompt": "a\u2028b", "n": 2}\n\n"c"\r\n'
    assert read_rows(write(tmp_path / "rows.jsonl", text), inputs()) == [
        {"prompt": "a\u2028b", "n": 2},
        {"prompt": "c"},
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"prompt": "a"}\n{"prompt": }\n', "rows.jsonl:2:12: not valid JSON"),
        ("[" * 100_000 + "\n", "rows.jsonl:1"),
        ('\n{"n": "x"}\n', "row 1 (rows.jsonl:2): the input 'prompt' is missing; row 1 (rows.jsonl:2): input 'n'"),
        ('{"prompt": "a", "n": NaN}\n', "row 1 (rows.jsonl:1): input 'n'"),
    ],
)
def test_broken_jsonl(tmp_path: Path, text: str, message: str) -> None:
    assert message in wrong(write(tmp_path / "rows.jsonl", text)).message


# --- Parquet and other files ------------------------------------------------------------------------------------------


def test_parquet(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path = tmp_path / "rows.parquet"
    pandas.DataFrame({"prompt": ["a", "b"], "n": [1, None], "tags": [[1, 2], None]}).to_parquet(path)
    assert read_rows(path, inputs()) == [{"prompt": "a", "n": 1.0, "tags": [1, 2]}, {"prompt": "b"}]
    pandas.DataFrame({"promt": ["a"]}).to_parquet(path)
    assert wrong(path).message == "rows.parquet: there is no input 'promt'; did you mean 'prompt'?"


def test_what_is_no_parquet(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    assert "not a readable Parquet file" in wrong(write(tmp_path / "rows.parquet", "x")).message


@pytest.mark.parametrize("name", ["rows.txt", "Once upon a time", "rows"])
def test_a_text_alone_is_a_path(tmp_path: Path, name: str) -> None:
    error = wrong(name)
    assert "not a file of rows" in error.message
    assert "texts alone go into a list" in str(error)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no such file" in wrong(tmp_path / "none.csv").message
    assert "there is no such home folder" in wrong("~nobody-of-that-name/x.csv").message
