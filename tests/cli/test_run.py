"""``mcnb run`` and ``mcnb repeat``: inputs, outputs, exit codes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, write
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM, POEM_ZH


@pytest.fixture
def poem(folder: Path, models: Models) -> Path:
    """A document in the working directory that recites a poem."""
    return write(folder / "model-compose.yml", document(models.poet))


@pytest.fixture
def dice(folder: Path, models: Models) -> Path:
    """A document whose text depends on the seed."""
    return write(folder / "model-compose.yml", document(models.dice, max_output_length=8, params={"temperature": 1.5}))


def test_a_piped_output_is_exactly_the_text(command: Command, poem: Path) -> None:
    result = command("run", "-i", f"prompt={FIRST_LINE}")
    assert result.code == 0
    assert result.data == POEM.encode()
    lines = result.error.splitlines()
    assert lines[-1].startswith("12 tokens in, 147 out · ")
    assert all(line.startswith("loading ") for line in lines[:-1])


def test_chinese(command: Command, folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.chinese))
    result = command("run", "-i", f"prompt={POEM_ZH.splitlines(keepends=True)[0]}")
    assert result.data == POEM_ZH.encode()


def test_quiet(command: Command, poem: Path) -> None:
    result = command("run", "-q", "-i", f"prompt={FIRST_LINE}")
    assert (result.code, result.data, result.error) == (0, POEM.encode(), "")


def test_an_output_that_is_no_text_is_json(command: Command, folder: Path, models: Models) -> None:
    text = document(models.poet, text=["${input.prompt}", "b"], max_output_length=1)
    write(folder / "model-compose.yml", text)
    assert [item[0] for item in json.loads(command("run", "-i", "prompt=a").text)] == ["a", "b"]
    write(folder / "model-compose.yml", document(models.chinese, output={"generated": "${result}"}))
    result = command("run", "-i", f"prompt={POEM_ZH.splitlines(keepends=True)[0]}")
    assert json.loads(result.text) == {"generated": POEM_ZH}
    assert "床前明月光" in result.text, "readable, not escaped"


def test_json(command: Command, poem: Path) -> None:
    result = command("run", "--json", "-i", f"prompt={FIRST_LINE}")
    assert result.text == json.dumps(POEM) + "\n"


TYPED = """
component:
  model: MODEL
  text: >
    ${input.n as integer} ${input.f as number} ${input.b as boolean}
    ${input.l as json} ${input.t as text} ${input.u}
  params: {max_output_length: 1}
"""


def test_values_get_the_types_of_the_inputs(command: Command, folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", TYPED.replace("MODEL", str(models.poet)))
    pairs = ["n=5", "f=0.50", "b=yes", "l=[1, 2]", "t=5", "u=a=b"]
    result = command("run", "--record", *(part for pair in pairs for part in ("-i", pair)))
    assert result.code == 0
    given = json.loads(result.text)["record"]["input"]
    assert given == {"n": 5, "f": 0.5, "b": True, "l": [1, 2], "t": "5", "u": "a=b"}


def test_all_inputs_at_once(command: Command, poem: Path, folder: Path) -> None:
    whole = json.dumps({"prompt": FIRST_LINE})
    file = write(folder / "input.json", "\N{BYTE ORDER MARK}" + whole)
    assert command("run", "--input", whole).data == POEM.encode()
    assert command("run", "--input", f"@{file}").data == POEM.encode()
    assert command("run", "--input", "@-", input=whole.encode()).data == POEM.encode()
    assert command("run", "--input", '{"prompt": "x"}', "-i", f"prompt={FIRST_LINE}").data == POEM.encode()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "the input 'prompt' is missing"),
        (["-i", "promt=a"], "there is no input 'promt'; did you mean 'prompt'?"),
        (["-i", "prompt"], "-i prompt: expected NAME=VALUE"),
        (["--input", "{'prompt': 1}"], "--input:1:2: not valid JSON"),
        (["--input", "[1]"], "--input has to be a JSON object"),
        (["--input", "@no.json"], "no.json: cannot read the file"),
        (["--input", "@bad.json"], "bad.json:2:1: not valid JSON"),
        (["--input", "@latin.json"], "latin.json: not UTF-8 text"),
        (["--input", "@-"], "standard input:1:1: not valid JSON"),
        (["--input", "[" * 100_000], "nested too deeply"),
        (["--input", '{"prompt": ' + "1" * 5000 + "}"], "number"),
        (["-i", "prompt=a", "--seed", "-1"], "seed"),
        (["-i", "prompt=a", "--timeout", "0"], "timeout"),
        (["-i", "prompt=a", "--timeout", "nan"], "timeout"),
        (["wrte", "-i", "prompt=a"], "there is no workflow 'wrte'; its workflow has no id; leave the name out"),
        (["-i", "prompt=a", "-o", "no/such/folder.txt"], "there is no folder"),
        (["-i", "prompt=a", "-o", "."], "this is a folder"),
    ],
)
def test_what_cannot_be_run_is_said_before_anything_is_loaded(
    command: Command, poem: Path, folder: Path, arguments: list[str], said: str
) -> None:
    write(folder / "bad.json", "{\nx}")
    (folder / "latin.json").write_bytes('{"prompt": "é"}'.encode("latin-1"))
    result = command("run", *arguments)
    assert (result.code, result.data) == (2, b"")
    assert said in result.error
    assert result.error.startswith("error: ")
    assert result.error.count("\n") == 1


def test_the_output_goes_to_a_file(command: Command, poem: Path, folder: Path) -> None:
    target = folder / "out.txt"
    result = command("run", "-i", f"prompt={FIRST_LINE}", "-o", "out.txt")
    assert (result.code, result.data) == (0, b"")
    assert target.read_bytes() == POEM.encode()
    target.chmod(0o600)
    (folder / "link.txt").symlink_to(target)
    assert command("run", "--json", "-i", f"prompt={FIRST_LINE}", "--output", "link.txt").code == 0
    assert json.loads(target.read_text()) == POEM
    assert target.stat().st_mode & 0o777 == 0o600
    assert (folder / "link.txt").is_symlink()
    assert sorted(path.name for path in folder.iterdir()) == ["link.txt", "model-compose.yml", "out.txt"]


def test_a_device_is_written_into_and_stays_one(command: Command, poem: Path, folder: Path) -> None:
    pipe = folder / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        assert command("run", "-i", f"prompt={FIRST_LINE}", "-o", "pipe").code == 0
        assert os.read(reader, 10_000) == POEM.encode()
    finally:
        os.close(reader)
    assert not pipe.is_file()


def test_a_failed_run_leaves_the_file_as_it_was(command: Command, folder: Path) -> None:
    write(folder / "model-compose.yml", document("./nowhere"))
    target = write(folder / "out.txt", "before")
    result = command("run", "-i", "prompt=a", "-o", "out.txt")
    assert result.code == 1
    assert "./nowhere: there is no file or folder at" in result.error
    assert target.read_text() == "before"


def test_a_disk_that_fills_up_while_the_output_is_written(
    command: Command, poem: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    target = write(folder / "out.txt", "before")
    with monkeypatch.context() as patched:
        patched.setattr(Path, "write_bytes", full)
        result = command("run", "-i", f"prompt={FIRST_LINE}", "-o", "out.txt")
    assert result.code == 1
    assert "could not be written" in result.error
    assert "No space left on device" in result.error
    assert target.read_text() == "before"


def test_a_timeout_fails_the_run(command: Command, folder: Path, models: Models) -> None:
    write(folder / "model-compose.yml", document(models.endless))
    result = command("run", "-i", f"prompt={FIRST_LINE}", "--timeout", "0.05")
    assert (result.code, result.data) == (1, b"")
    assert result.error.splitlines()[-1] == "error: the run took longer than its limit of 0.05 s"


def test_several_files_and_environment_values(command: Command, folder: Path, models: Models) -> None:
    write(folder / "a.yml", document(models.poet, text="${env.A} ${env.B} ${input.prompt}"))
    over = write(folder / "b.yml", "component: {params: {max_output_length: 1}, output: '<${result}>'}")
    values = write(folder / "values.env", "A=one\nB=two\n")
    result = command("run", "-f", "a.yml", "-f", over, "--env-file", values, "-e", "B=three", "-i", "prompt=x")
    assert result.text.startswith("<one three x")
    assert "1 out" in result.error


def test_one_of_several_workflows(command: Command, folder: Path, models: Models) -> None:
    text = """
workflows:
  - {id: a, jobs: [{component: m, input: {prompt: a}}]}
  - {id: b, jobs: [{component: m, input: {prompt: b}}]}
component: {id: m, model: MODEL, text: "${input.prompt}", params: {max_output_length: 1}}
"""
    write(folder / "model-compose.yml", text.replace("MODEL", str(models.poet)))
    assert command("run", "b").text.startswith("b")
    assert "name one: a, b" in command("run").error


def test_parameters_of_this_run(command: Command, dice: Path) -> None:
    result = command("run", "-i", "prompt=a", "-p", "max_output_length=2", "-p", "do_sample=false", "--record")
    parameters = json.loads(result.data)["record"]["parameters"]
    assert {name: parameters[name] for name in ("max_output_length", "do_sample")} == {
        "max_output_length": 2,
        "do_sample": False,
    }


def test_a_parameter_that_does_not_exist(command: Command, dice: Path) -> None:
    result = command("run", "-i", "prompt=a", "-p", "temprature=0.2")
    assert result.code == 2
    assert "there is no parameter 'temprature'; did you mean 'temperature'?" in result.error
