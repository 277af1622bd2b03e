"""A run as code: each piece of it, executed, makes the same run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from mcnb.cli.options import read_input
from mcnb.cli.run import run
from mcnb.compose import Document
from mcnb.notebook.form.snippets import snippets
from mcnb.runtime import Record, default_runtime, load
from tests.notebook.conftest import Shell
from tests.notebook.form.conftest import Scripted
from tests.support.runs import Models, document

Write = Callable[[str], Path]

TEXTS = [
    "words",
    "",
    " ",
    'it\'s "quoted" `code`',
    "two\nlines\n",
    "\n\nleading and trailing\n\n",
    "$name",
    "${input.prompt} ${env.HOME} $HOME $$",
    "{braces} {{double}} {0} %s %d 100 %",
    "back\\slash \\n \\'",
    "key: value",
    "- item",
    "# comment",
    "5",
    "null",
    "true",
    '{"a": 1}',
    "[1, 2]",
    "é 床前明月光 👩🏽‍🚀 \u2028 \x85 \x0b",
    "tab\there\r\nand there",
    "--seed 5",
    "-i prompt=x; rm -rf / | & > <",
    "a question?",
    "!shout",
    "long " * 21,
    "=",
]

VARIABLES = {"name": "not this", "seed": 3}


@pytest.fixture
def file(write: Write, models: Models, shell: Shell) -> Path:
    """A compose file of a model that answers at once."""
    shell.ip.user_ns.update(VARIABLES)
    text = (
        "${input.prompt as text} ${input.n as integer | 1} ${input.flag as boolean | false} ${input.data as json | {}}"
    )
    return write(document(models.dice, text=text, max_output_length=1))


def pieces(file: Path, values: dict[str, Any], parameters: dict[str, Any] | None = None) -> dict[str, str]:
    """Write a run as code that was never made."""
    return snippets(load(file).document, record(values, parameters), parameters or {})


def record(values: dict[str, Any], parameters: dict[str, Any] | None = None, workflow: str = "__workflow__") -> Record:
    return Record(
        run_id="id", workflow=workflow, created=0, document={}, input=values, parameters=parameters or {}, seed=12345
    )


def told_to_click(command: str) -> dict[str, Any]:
    """Return what a command's options are, by click's own parser."""
    name, word, *words = shlex.split(command, comments=True)
    assert (name, word) == ("mcnb", "run")
    return run.make_context("run", words).params


def asked(shell: Shell, code: str) -> Record:
    """Run a cell; return the record of the run it made."""
    before = {run.id for run in default_runtime().runs}
    shell.good(code)
    # By their ids, not their number: the runtime remembers its latest runs only.
    [made] = (run for run in default_runtime().runs if run.id not in before)
    return made.record


@pytest.mark.parametrize("kind", ["magic", "python"])
def test_texts_come_through_a_cell(shell: Shell, file: Path, kind: str) -> None:
    for text in TEXTS:
        code = pieces(file, {"prompt": text})[kind]
        found = asked(shell, code)
        assert (found.input, found.seed) == ({"prompt": text}, 12345), code


@pytest.mark.parametrize("text", TEXTS)
def test_texts_come_through_a_shell(scripted: Scripted, text: str) -> None:
    values = {"prompt": text}
    code = snippets(scripted.document, record(values), {})
    options = told_to_click(code["command"])
    assert options["seed"] == 12345
    assert read_options(scripted.document, options) == values, code["command"]
    assert body(code["curl"]) == {"input": values, "seed": 12345}


def read_options(document: Document, options: dict[str, Any]) -> dict[str, Any]:
    return read_input(document, options["workflow"], options["whole"], options["pairs"])


def body(command: str) -> Any:
    words = shlex.split(command)
    assert words[:2] == ["curl", "http://localhost:8888/api/workflows/runs"]
    assert "Authorization: token $JUPYTER_TOKEN" in words
    return json.loads(words[words.index("-d") + 1])


VALUES = [
    {"prompt": "a", "n": 3},
    {"prompt": "a", "flag": True, "n": -1},
    {"prompt": "a", "data": {"k": [1, None, "x", {"y": 1.5}]}},
    {"prompt": "a", "data": "5"},
    {"prompt": "a", "data": None},
    {"prompt": "a", "data": [{"role": "user", "content": "long " * 21}]},
]


def test_values_keep_their_types(shell: Shell, file: Path) -> None:
    for values in VALUES:
        same_input(shell, file, values)


def same_input(shell: Shell, file: Path, values: dict[str, Any]) -> None:
    """Check that each piece of code gives these very values."""
    code = pieces(file, values)
    for kind in ("magic", "python"):
        found = asked(shell, code[kind]).input
        assert json.dumps(found) == json.dumps(values), code[kind]
    found = read_options(load(file).document, told_to_click(code["command"]))
    assert json.dumps(found) == json.dumps(values), code["command"]
    assert json.dumps(body(code["curl"])["input"]) == json.dumps(values)


NAMED = [{"class": "a"}, {"a-b": "a"}, {"input": "a", "seed": "b"}, {"workflow": "a"}, {"n": 5}, {"t": "5", "f": 1.5}]


def test_inputs_of_any_name(shell: Shell, write: Write, models: Models) -> None:
    file = write(document(models.dice, text="${input}", max_output_length=1))
    for values in NAMED:
        same_input(shell, file, values)


PARAMETERS = {"temperature": 0.25, "top_k": 5, "do_sample": False, "max_output_length": 2}


def test_parameters_of_the_run_come_along(shell: Shell, file: Path) -> None:
    code = pieces(file, {"prompt": "a"}, PARAMETERS)
    for kind in ("magic", "python"):
        found = asked(shell, code[kind])
        assert {**found.parameters, "seed": found.seed} == {**PARAMETERS, "seed": 12345}
    assert body(code["curl"])["parameters"] == PARAMETERS


def test_the_command_gives_parameters_too(file: Path) -> None:
    options = told_to_click(pieces(file, {"prompt": "a"}, PARAMETERS)["command"])
    assert dict(pair.split("=", 1) for pair in options["parameters"]) == {
        key: json.dumps(value) for key, value in PARAMETERS.items()
    }


def test_a_workflow_of_several(shell: Shell, write: Write, models: Models) -> None:
    part = json.loads(document(models.dice, max_output_length=1))["component"]
    jobs = [{"id": "j", "component": "m", "input": {"prompt": "${input.prompt}"}}]
    several = [{"id": "one", "jobs": jobs, "default": True}, {"id": "two", "jobs": jobs}]
    file = write(json.dumps({"workflows": several, "components": [{"id": "m", **part}]}))
    code = snippets(load(file).document, record({"prompt": "a\nb"}, workflow="two"), {})
    for kind in ("magic", "python"):
        assert asked(shell, code[kind]).workflow == "two"
    assert told_to_click(code["command"])["workflow"] == "two"
    assert body(code["curl"])["workflow_id"] == "two"


def test_files_are_named(shell: Shell, models: Models, tmp_path: Path) -> None:
    folder = tmp_path / "it's a folder"
    folder.mkdir()
    file = folder / "my file.yml"
    file.write_text(document(models.dice, max_output_length=1))
    code = pieces(file, {"prompt": "a"})
    for kind in ("magic", "python"):
        assert asked(shell, code[kind]).input == {"prompt": "a"}
    words = shlex.split(code["command"])
    assert words[words.index("-f") + 1] == str(file)


def test_a_document_that_is_no_file(scripted: Scripted) -> None:
    code = snippets(scripted.document, record({"prompt": "a"}), {})
    assert "-f" not in code["magic"]
    for kind in ("python", "command"):
        assert "save it as model-compose.yml" in code[kind]
    compile(code["python"], "<snippet>", "exec")


def test_the_text_is_the_same(shell: Shell, write: Write, models: Models) -> None:
    file = write(document(models.dice, max_output_length=12, params={"temperature": 1.5}))
    first = load(file).run(prompt="One upon\na time")
    code = snippets(load(file).document, first.record, {})
    for kind in ("magic", "python"):
        shell.good(code[kind])
        assert default_runtime().runs[-1].text == first.text


def test_click_is_asked_as_a_person_would() -> None:
    with pytest.raises(click.ClickException):
        told_to_click("mcnb run --no-such-option")
