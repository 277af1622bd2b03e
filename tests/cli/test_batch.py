"""``mcnb batch``: options, what it says, Ctrl-C."""

from __future__ import annotations

import csv
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, write
from tests.cli.processes import PATIENCE, Terminal, run, started
from tests.support.runs import FIRST_LINE, Models, document


@pytest.fixture
def file(folder: Path, models: Models) -> Path:
    write(folder / "in.csv", "id,prompt,n\na,one,2\nb,two,0\nc,three,3\n")
    return write(folder / "model-compose.yml", document(models.dice, max_output_length="${input.n as integer}"))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as found:
        return list(csv.DictReader(found))


def test_a_file_in_a_file_out(command: Command, folder: Path, file: Path) -> None:
    done = command("batch", "in.csv", "-o", "out.csv", "--key", "id", "--seed", 4)
    assert (done.code, done.text) == (0, "")
    first, second = done.error.splitlines()
    assert first.startswith("out.csv: 3 of 3 rows · 1 failed · ")
    assert second == "their rows say why; the same command with --retry-failed computes them again"
    found = rows(folder / "out.csv")
    assert [row["id"] for row in found] == ["a", "b", "c"]
    assert [row["state"] for row in found] == ["completed", "failed", "completed"]
    assert found[1]["error.code"] == "invalid_input"
    again = command("batch", "in.csv", "-o", "two.csv", "--key", "id", "--seed", 4, "-q", "--batch-size", 1)
    assert again.error == ""
    assert [row["output"] for row in rows(folder / "two.csv")] == [row["output"] for row in found]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["in.csv", "-o", "out.csv"], "in.csv:1: there is no input 'id'"),
        (["x", "in.csv", "-o", "out.csv"], "there is no workflow 'x'"),
        (["a", "b", "in.csv", "-o", "out.csv"], "one INPUT, and a WORKFLOW before it at most"),
        (["none.csv", "-o", "out.csv"], "none.csv: there is no such file"),
        (["in.csv", "-o", "out.txt", "--drop", "id"], "out.txt: not a file of rows"),
        (["in.csv", "-o", "out.csv", "--drop", "id", "--workers", "2"], "--workers is Ray's; add --engine ray"),
        (["in.csv", "-o", "out.csv", "--drop", "id", "-p", "top_p=2"], "top_p"),
    ],
)
def test_what_is_wrong_is_told_before_anything_starts(
    arguments: list[str], told: str, command: Command, folder: Path, file: Path
) -> None:
    done = command("batch", *arguments)
    assert done.code == 2
    assert told in done.error
    assert sorted(path.name for path in folder.iterdir()) == ["in.csv", "model-compose.yml"]


def test_help_says_how_to_go_on(command: Command) -> None:
    said = command("batch", "-h").text
    assert "[WORKFLOW] INPUT" in said
    assert "--resume" in said


if sys.platform != "win32":

    def test_an_interrupt_keeps_what_is_done(folder: Path, models: Models) -> None:
        write(folder / "model-compose.yml", document(models.endless, max_output_length="${input.n as integer}"))
        lines = [{"prompt": FIRST_LINE, "n": 1 if number < 5 else 1500} for number in range(60)]
        write(folder / "in.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
        journal = folder / "out.jsonl.journal"
        with started("batch", "in.jsonl", "-o", "out.jsonl", "--batch-size", "2") as process:
            while not (journal.exists() and journal.read_bytes().count(b'"row"') >= 5):
                assert process.poll() is None
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=PATIENCE)
        assert process.returncode == 130
        assert out == b""
        assert error.decode().splitlines() == [
            "interrupted after 5 of 60 rows, which are kept",
            "the same command with --resume goes on",
        ]
        short = ["-p", "max_output_length=1"]
        other = run("batch", "in.jsonl", "-o", "out.jsonl", "--resume", *short)
        assert (other.returncode, b"of another job" in other.stderr) == (2, True)

    def test_a_terminal_sees_it_grow(folder: Path, file: Path) -> None:
        write(folder / "in.csv", "prompt,n\n" + "a,5\n" * 300)
        with Terminal("batch", "in.csv", "-o", "out.csv") as terminal:
            terminal.read_until(" rows/s  ")
            assert terminal.end() == 0
            screen = terminal.screen
        assert [line.split(" · ")[0] for line in screen if line] == ["out.csv: 300 of 300 rows"]
