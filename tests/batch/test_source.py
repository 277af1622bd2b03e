"""The rows of a job: checked in one pass, read as often as needed, never all in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mcnb
from mcnb.batch.source import Source
from mcnb.compose import Inputs
from mcnb.errors import InvalidInputError

TWO = "${input.prompt as text} ${input.n as integer | 1}"


def inputs(text: str = TWO) -> Inputs:
    return mcnb.load_document(text=json.dumps({"component": {"model": "./nowhere", "text": text}})).inputs()


def source(rows: Any, **options: Any) -> Source:
    return Source(rows, inputs(), **options)


def wrong(rows: Any, **options: Any) -> str:
    with pytest.raises(InvalidInputError) as caught:
        source(rows, **options).check()
    return str(caught.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three files of three kinds, and what other tools leave behind."""
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    (tmp_path / "b.csv").write_text("prompt,n,id\nb,2,x\nc,,y\n")
    (tmp_path / "c.jsonl").write_text('{"prompt": "d", "id": "z"}\n')
    pandas.DataFrame({"prompt": ["a"], "n": [5], "id": ["w"], "blob": ["?" * 100]}).to_parquet(tmp_path / "a.parquet")
    (tmp_path / "_SUCCESS").write_text("")
    (tmp_path / ".part.crc").write_text("")
    return tmp_path


def test_a_folder_is_read_in_the_order_of_names(folder: Path) -> None:
    found = source(folder, keep=("id",), drop=("blob",))
    checked = found.check()
    assert checked.parts == (("a.parquet", 1), ("b.csv", 2), ("c.jsonl", 1))
    assert checked.rows == 4
    assert set(checked.columns) == {"prompt", "n", "id"}
    rows = list(found.rows())
    assert [row.number for row in rows] == [row.key for row in rows] == [1, 2, 3, 4]
    assert [row.input for row in rows] == [
        {"prompt": "a", "n": 5},
        {"prompt": "b", "n": 2},
        {"prompt": "c"},
        {"prompt": "d"},
    ]
    assert [row.others["id"] for row in rows] == ["w", "x", "y", "z"]
    assert [row.number for row in found.rows(after=2)] == [3, 4]


def test_a_folder_holds_rows_alone(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.txt").write_text("x")
    assert "notes.txt: not a file of rows" in wrong(folder)
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "the folder has no" in wrong(empty)


def test_a_column_that_is_no_input_is_wanted_or_not(folder: Path) -> None:
    assert "there is no input 'id'" in wrong(folder / "b.csv")
    assert "there is no input 'id'" in wrong([{"prompt": "a", "id": 1}])
    assert source([{"prompt": "a", "id": 1}], drop=("id",)).check().columns == ("prompt",)


def test_keys_name_rows(folder: Path) -> None:
    found = source(folder / "b.csv", key="id")
    found.check()
    assert [row.key for row in found.rows()] == ["x", "y"]
    assert [row.others for row in found.rows()] == [{"id": "x"}, {"id": "y"}], "a key is worth keeping"


def test_keys_are_there_and_different() -> None:
    rows = [{"prompt": "a", "id": key} for key in ("p", "q", "p", "r")]
    assert wrong(rows, key="id") == "rows 1, 3: the key 'p' stands 2 times"
    assert wrong([{"prompt": "a"}], key="id") == "row 1: the key 'id' is missing"
    assert source([{"prompt": "a"}, {"prompt": "b"}], key="prompt").check().rows == 2


def test_everything_wrong_is_told_and_bounded() -> None:
    told = wrong([{"prompt": "a", "n": f"x{number}"} for number in range(30_000)])
    assert told.startswith("row 1: input 'n': expected an integer, got 'x0'")
    assert len(told) < 3000


def test_the_digest_is_that_of_the_content(folder: Path) -> None:
    before = source(folder / "b.csv", keep=("id",)).digest()
    assert source(folder / "b.csv", keep=("id",)).digest() == before
    (folder / "b.csv").write_text("prompt,n,id\nb,2,x\nc,,z\n")
    assert source(folder / "b.csv", keep=("id",)).digest() != before
    assert source([{"prompt": "a"}]).digest() != source([{"prompt": "b"}]).digest()


def test_reading_is_lazy(tmp_path: Path) -> None:
    """A row is read when it is asked for: what is wrong far behind is not met."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a"}\n' * 5 + "{\n")
    rows = source(path).rows()
    assert [next(rows).number for _ in range(5)] == [1, 2, 3, 4, 5]
    with pytest.raises(InvalidInputError, match=r"rows\.jsonl:6"):
        next(rows)
