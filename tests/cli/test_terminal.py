"""The command on a terminal: text that streams, a progress line that goes away, a quiet last line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

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
