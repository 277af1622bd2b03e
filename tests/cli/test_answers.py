"""A run that asks a person: answers of the command line, of a terminal, and of nobody."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Command, write
from tests.support.runs import FIRST_LINE, Models
from tests.support.texts import POEM

TEXT = """
workflow:
  jobs:
    - id: draft
      component: writer
      input: {prompt: "${input.prompt}"}
      interrupt: {BEFORE after: {message: "Edit the draft of ${input.prompt}"}}
    - id: final
      component: writer
      depends_on: [draft]
      input: {prompt: "${jobs.draft.output}"}
component: {id: writer, model: MODEL, text: "${input.prompt as text}", max_output_length: 1}
"""


@pytest.fixture
def asking(folder: Path, models: Models) -> Path:
    """A document of two jobs that asks after the first."""
    return write(folder / "model-compose.yml", TEXT.replace("MODEL", str(models.poet)).replace("BEFORE", ""))


@pytest.fixture
def asking_twice(folder: Path, models: Models) -> Path:
    """The same, which asks before the first job too."""
    text = TEXT.replace("MODEL", str(models.poet)).replace("BEFORE", "before: true,")
    return write(folder / "model-compose.yml", text)


def test_an_answer_of_the_command_line(command: Command, asking: Path) -> None:
    result = command("run", "-i", "prompt=a", "--answer", "edited")
    assert result.code == 0
    assert result.text.startswith("edited")
    assert "not asked for" not in result.error


def test_answers_in_order_and_an_empty_one_keeps(command: Command, asking_twice: Path) -> None:
    result = command("run", "-i", "prompt=a", "--answer", "b", "--answer", "", "--record")
    data = json.loads(result.text)
    assert data["record"]["answers"] == [
        {"job": "draft", "phase": "before", "answer": {"prompt": "b"}, "kept": False},
        {"job": "draft", "phase": "after", "answer": None, "kept": True},
    ]
    assert data["output"].startswith("b")
    record = write(asking_twice.with_name("record.json"), result.text)
    assert command("repeat", record, "--json").text == json.dumps(data["output"]) + "\n"


def test_nobody_answers(command: Command, asking: Path) -> None:
    result = command("run", "-i", "prompt=a")
    assert result.code == 2
    assert result.data == b""
    assert result.error.splitlines()[-1] == (
        "error: the run waits after job 'draft' (Edit the draft of a), and there is no terminal to ask on; "
        "pass --answer TEXT for each time it asks; an empty TEXT keeps what is there"
    )


def test_too_few_answers(command: Command, asking_twice: Path) -> None:
    result = command("run", "-q", "-i", "prompt=a", "--answer", "b")
    assert result.code == 2
    assert "the run waits after job 'draft'" in result.error


def test_an_answer_nobody_asked_for_is_told(command: Command, asking: Path) -> None:
    result = command("run", "-i", "prompt=a", "--answer", "b", "--answer", "c", "--answer", "d")
    assert result.code == 0
    assert "2 answers were not asked for" in result.error


def test_an_answer_that_does_not_fit(command: Command, folder: Path, models: Models) -> None:
    text = TEXT.replace("MODEL", str(models.poet)).replace("BEFORE after:", "before:")
    text = text.replace('{prompt: "${input.prompt}"}', '{prompt: "${input.prompt}", style: dry}')
    write(folder / "model-compose.yml", text)
    result = command("run", "-i", "prompt=a", "--answer", "[1]")
    assert result.code == 2
    assert "the answer before job 'draft' has to be a mapping of names to values" in result.error
    result = command("run", "-i", "prompt=a", "--answer", "b")
    assert result.code == 2
    assert "the answer has to be JSON" in result.error


if sys.platform != "win32":
    from tests.cli.processes import Terminal

    PROMPT = "replaces it: "

    def test_enter_keeps(asking: Path) -> None:
        with Terminal("run", "-i", f"prompt={FIRST_LINE.strip()}") as terminal:
            terminal.read_until(PROMPT)
            assert f"Edit the draft of {FIRST_LINE.strip()}" in terminal.data.decode()
            terminal.type("\n")
            assert terminal.end() == 0
        assert "\n".join(terminal.screen).count("Tyger Tyger") >= 3

    def test_a_typed_line_replaces(asking: Path) -> None:
        with Terminal("run", "-i", "prompt=a") as terminal:
            terminal.read_until(PROMPT)
            terminal.type("edited by hand\n")
            assert terminal.end() == 0
            *_, text, last, _ = terminal.screen
        assert text.startswith("edited by hand")
        assert "seed" in last

    def test_the_end_of_input_is_no_answer(asking: Path) -> None:
        with Terminal("run", "-i", "prompt=a") as terminal:
            terminal.read_until(PROMPT)
            terminal.type("\x04")
            assert terminal.end() == 2
            assert "the input has ended" in " ".join(terminal.screen)

    def test_an_interrupt_while_it_asks(asking: Path) -> None:
        with Terminal("run", "-i", "prompt=a") as terminal:
            terminal.read_until(PROMPT)
            terminal.interrupt()
            assert terminal.end() == 130
            assert "Traceback" not in terminal.data.decode()

    def test_a_wrong_line_is_told_and_asked_again(folder: Path, models: Models) -> None:
        text = TEXT.replace("MODEL", str(models.poet)).replace("BEFORE after:", "before:")
        text = text.replace('{prompt: "${input.prompt}"}', '{prompt: "${input.prompt}", style: dry}')
        write(folder / "model-compose.yml", text)
        with Terminal("run", "-i", "prompt=a") as terminal:
            terminal.read_until("replaces it (JSON): ")
            terminal.type("b\n")
            terminal.read_until("error: the answer before job 'draft': the answer has to be JSON")
            terminal.type('{"prompt": "' + POEM.split()[0] + '"}\n')
            assert terminal.end() == 0
            assert any(line.startswith("Tyger") for line in terminal.screen)
