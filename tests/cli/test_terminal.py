"""The command on a terminal: text that streams, a progress line that goes away, a quiet last line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

from mcnb.cli.terminal import Terminal as Follower
from mcnb.runtime import Event
from tests.cli.conftest import write
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

if sys.platform == "win32":
    pytest.skip("a terminal of POSIX", allow_module_level=True)

from tests.cli.processes import Terminal

DIM = "\x1b[2m"


def test_text_streams_and_only_the_quiet_line_is_added(folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.poet, output={"generated": "${result}"}))
    with Terminal("run", "-i", f"prompt={FIRST_LINE}", "--seed", "3") as terminal:
        assert terminal.end() == 0
        *lines, last, empty = terminal.screen
    assert lines == POEM.splitlines()
    assert last.startswith("12 tokens in, 147 out · ")
    assert "seed 3" in last
    assert empty == ""
    shown = terminal.data.decode()
    assert f"\rloading {models.poet}"[:60] in "\r" + shown
    assert f"{DIM}12 tokens in" in shown


def test_an_interrupt_keeps_the_partial_text(folder: Path, marathon: Path) -> None:
    write(folder / "model-compose.yml", document(marathon, max_output_length=8000))
    with Terminal("run", "-i", f"prompt={FIRST_LINE}") as terminal:
        terminal.read_until("fearful symmetry")
        terminal.interrupt()
        assert terminal.end() == 130
        *lines, last, empty = terminal.screen
    assert "\n".join(POEM.splitlines() * 60).startswith("\n".join(lines))
    assert len(lines) >= 4
    assert last.startswith("interrupted after ")
    assert last.endswith(" tokens")
    assert empty == ""
    assert "Traceback" not in "\n".join(terminal.screen)


def test_a_failure_after_some_text(folder: Path, marathon: Path) -> None:
    write(folder / "model-compose.yml", document(marathon, max_output_length=8000))
    with Terminal("run", "-i", f"prompt={FIRST_LINE}", "--timeout", "5") as terminal:
        assert terminal.end() == 1
        *_, last, _ = terminal.screen
    assert last == "error: the run took longer than its limit of 5 s"


def test_several_texts_are_shown_as_json_at_the_end(folder: Path, models: Models) -> None:
    text = document(models.poet, text=["${input.prompt}", "b"], max_output_length=1)
    write(folder / "model-compose.yml", text)
    with Terminal("run", "-i", "prompt=a", columns=40) as terminal:
        assert terminal.end() == 0
        lines = terminal.screen
    assert lines[0] == "["
    assert lines[3] == "]"
    assert lines[4].startswith("2 tokens in, 2 out")
    assert "generating  1 of up to 1 tokens" in terminal.data.decode()


def test_quiet_shows_the_text_alone(folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.poet))
    with Terminal("run", "-q", "-i", f"prompt={FIRST_LINE}") as terminal:
        assert terminal.end() == 0
    assert terminal.data.decode().replace("\r\n", "\n") == POEM


class Screen(io.StringIO):
    """Where notes go that a terminal shows."""

    def isatty(self) -> bool:
        return True


DOWNLOADED = [{"what": "m", "done": done, "total": 4_000_000, "unit": "bytes"} for done in (0, 1_000_000, 4_000_000)]


def told(notes: io.StringIO, *events: tuple[Any, dict[str, Any]], quiet: bool = False) -> str:
    """What is written about events that are a second apart."""
    follower = Follower(None, notes, quiet=quiet)
    for number, (kind, data) in enumerate(events):
        follower.progress(Event(number, kind, data, float(number)))
    return notes.getvalue()


def test_progress_is_written_over_itself() -> None:
    shown = told(Screen(), *(("download", data) for data in DOWNLOADED))
    assert [line for line in shown.split("\r") if line.strip()] == [
        "downloading m  0 B of 4.0 MB  0 %",
        "downloading m  1.0 MB of 4.0 MB  25 %  1.0 MB/s  3 s left",
        "downloading m  4.0 MB of 4.0 MB  100 %",
    ]


def test_what_has_not_changed_is_not_written_again() -> None:
    assert told(Screen(), *[("download", DOWNLOADED[0])] * 3).count("downloading") == 1


def test_a_prompt_that_is_read_and_the_items_of_a_job() -> None:
    shown = told(
        Screen(),
        ("state", {"state": "processing"}),
        ("job", {"job": "poems", "state": "processing", "item": 0, "items": 2}),
        ("prompt", {"job": "poems", "item": 0, "tokens": 1032, "budget": 40}),
        ("token", {"job": "poems", "item": 0, "text": "x", "tokens": 1, "streamed": False}),
        ("token", {"job": "poems", "item": 0, "text": "x", "tokens": 11, "streamed": False}),
        ("state", {"state": "completed"}),
    )
    assert [line for line in shown.split("\r") if line.strip()] == [
        "waiting for the model",
        "poems 1 of 2: reading the prompt  1,032 tokens",
        "poems 1 of 2: generating  1 of up to 40 tokens",
        "poems 1 of 2: generating  11 of up to 40 tokens  10.0 tokens/s  7 s left",
    ]


def test_in_a_pipe_each_stage_is_one_line() -> None:
    events: list[tuple[Any, dict[str, Any]]] = [("download", data) for data in DOWNLOADED]
    events += [("load", {"what": "m", "done": done, "total": 2, "unit": "weights"}) for done in (0, 1, 2)]
    events += [("token", {"job": "a", "item": 0, "text": "x", "tokens": 1, "streamed": False})]
    assert told(io.StringIO(), *events) == "downloading m  0 B of 4.0 MB  0 %\nloading m  0 of 2 weights\n"
    assert told(io.StringIO(), *events, quiet=True) == ""
    assert told(Screen(), *events, quiet=True) == ""


def test_a_line_of_wide_characters_fits_and_goes_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "41")
    notes = Screen()
    follower = Follower(None, notes)
    follower.show("写一首关于月亮的诗" * 5)
    follower.clear()
    assert notes.getvalue() == ("写一首关于月亮的诗" * 5)[:20] + "\r" + " " * 40 + "\r"
