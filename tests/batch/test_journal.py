"""The journal: what it holds survives a torn line, another process and a full disk."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from mcnb.batch.journal import Journal
from mcnb.errors import DiskFullError, InvalidInputError


def result(row: int, state: str = "completed", **more: Any) -> dict[str, Any]:
    return {"row": row, "state": state, "output": f"text {row}", "error": None, **more}


def begun(path: Path, *rows: dict[str, Any]) -> Path:
    journal = Journal(path)
    journal.begin({"input": "x"})
    journal.add(rows)
    journal.close()
    return path


def test_what_was_added_is_there_again(tmp_path: Path) -> None:
    path = begun(tmp_path / "j", result(3), result(1), result(9, "failed"))
    journal = Journal(path)
    assert journal.header["input"] == "x"
    assert [row for row in range(12) if journal.is_done(row)] == [1, 3, 9]
    assert (journal.finished, journal.failed) == (3, 1)
    assert [found["row"] for _, found in journal.results()] == [3, 1, 9]
    for place, found in journal.results():
        with journal.reader() as lines:
            lines.seek(place)
            assert json.loads(lines.readline()) == found
    journal.close()


def test_a_row_is_done_once(tmp_path: Path) -> None:
    journal = Journal(begun(tmp_path / "j", result(1)))
    assert [found["row"] for found in journal.add([result(1), result(2), result(2)])] == [2]
    assert journal.finished == 2
    journal.close()


@pytest.mark.parametrize("cut", [1, 2, 20])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    path = begun(tmp_path / "j", result(1), result(2))
    whole = path.read_bytes()
    os.truncate(path, len(whole) - cut)
    journal = Journal(path)
    assert [journal.is_done(1), journal.is_done(2)] == [True, False]
    journal.add([result(2)])
    journal.close()
    assert path.read_bytes() == whole


def test_a_torn_first_line_is_no_journal_yet(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b'{"mcnb_ba')
    journal = Journal(tmp_path / "j")
    assert journal.header == {}
    journal.begin({"input": "y"})
    journal.close()
    again = Journal(tmp_path / "j")
    assert again.header["input"] == "y"
    again.close()


def test_a_spoilt_line_within_is_a_row_that_is_not_done(tmp_path: Path) -> None:
    path = begun(tmp_path / "j", result(1), result(2), result(3))
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = b"\0" * (len(lines[2]) - 1) + b"\n"
    path.write_bytes(b"".join(lines))
    journal = Journal(path)
    assert [row for row in range(5) if journal.is_done(row)] == [1, 3]
    journal.close()


def test_failed_rows_can_be_wanted_again(tmp_path: Path) -> None:
    path = begun(tmp_path / "j", result(1, "failed"), result(2), result(3, "failed"))
    journal = Journal(path, retry_failed=True)
    assert (journal.finished, journal.failed) == (1, 0)
    journal.add([result(1), result(3, "failed")])
    journal.close()
    again = Journal(path)
    assert (again.finished, again.failed) == (3, 1), "of a row that was tried again, the last one counts"
    again.close()


def test_two_processes_are_not_at_one_job(tmp_path: Path) -> None:
    journal = Journal(begun(tmp_path / "j"))
    with pytest.raises(InvalidInputError, match="another process is at this job"):
        Journal(tmp_path / "j")
    journal.close()
    Journal(tmp_path / "j").close()


@pytest.mark.parametrize("text", ['{"mcnb_batch": 99}\n', "a,b\n", "[]\n"])
def test_other_files_are_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "j"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match="not a journal of this version"):
        Journal(path)
    assert path.read_text() == text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="the system has no /dev/full")
def test_a_full_disk_is_told(tmp_path: Path) -> None:
    journal = Journal(begun(tmp_path / "j", result(1)))
    with open("/dev/full", "ab") as full:
        kept, journal._file = journal._file, full
        with pytest.raises(DiskFullError, match="--resume"):
            journal.add([result(2, output="x" * 100_000)])
        journal._file = kept
    journal.close()
    again = Journal(tmp_path / "j")
    assert again.finished == 1
    again.close()
