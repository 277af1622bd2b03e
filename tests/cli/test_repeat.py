"""The same text again: ``mcnb run --seed``, ``mcnb run --record``, ``mcnb repeat``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Command, write
from tests.support.runs import Models, document


@pytest.fixture
def dice(folder: Path, models: Models) -> Path:
    """A document whose text depends on the seed."""
    return write(folder / "model-compose.yml", document(models.dice, max_output_length=8, params={"temperature": 1.5}))


def test_a_seed(command: Command, dice: Path) -> None:
    first, second = (command("run", "-i", "prompt=a", "--seed", "7") for _ in range(2))
    assert first.data == second.data
    assert "seed 7" in first.error
    assert command("run", "-i", "prompt=a", "--seed", "8").data != first.data


def test_a_record_is_printed_and_repeated(command: Command, dice: Path, folder: Path) -> None:
    result = command("run", "-i", "prompt=a", "--record")
    data = json.loads(result.text)
    assert data["record"]["state"] == "completed"
    assert data["output"].startswith("a")
    record = write(folder / "record.json", result.text)
    dice.unlink()
    assert command("repeat", record).text == data["output"]
    assert command("repeat", "-", input=result.data).text == data["output"]
    inner = write(folder / "inner.json", json.dumps(data["record"]))
    assert json.loads(command("repeat", inner, "--json").text) == data["output"]
    again = json.loads(command("repeat", record, "--record").text)
    assert again["record"]["output_sha256"] == data["record"]["output_sha256"]


def test_a_record_that_needs_an_environment_value(command: Command, folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.poet, text="${env.WHO}", max_output_length=1))
    result = command("run", "--record", "-e", "WHO=somebody")
    record = write(folder / "record.json", result.text)
    missing = command("repeat", record)
    assert missing.code == 2
    assert "'WHO' is not set" in missing.error
    assert command("repeat", record, "-e", "WHO=somebody").text == json.loads(result.text)["output"]
    values = write(folder / "values.env", "WHO=somebody")
    assert command("repeat", record, "--env-file", values).code == 0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "not a record of format 1"),
        ("[]", "not a record"),
        ("{", "record.json:1:2: not valid JSON"),
        ('{"record": {"format": 1}}', "the record cannot be read: run_id"),
        (None, "record.json: cannot read the file"),
    ],
)
def test_what_is_no_record(command: Command, folder: Path, content: str | None, said: str) -> None:
    if content is not None:
        write(folder / "record.json", content)
    result = command("repeat", "record.json")
    assert (result.code, result.data) == (2, b"")
    assert said in result.error
