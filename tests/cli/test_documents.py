"""``mcnb validate``, ``mcnb schema``, ``mcnb graph``, ``mcnb render``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from tests.cli.conftest import Command, write

GOOD = """
workflow:
  title: A poem
  jobs:
    - {id: write, input: {topic: "${input.topic}", lines: "${input.lines as integer | 4 @(description How long)}"}}
component:
  model: ./nowhere
  text: "${input.lines} lines about ${input.topic}"
"""

SEVERAL = """
workflows:
  - {id: short, title: A short poem, default: true, jobs: [{input: {lines: 2}}]}
  - {id: long, jobs: [{input: {lines: "${input.lines as integer}"}}]}
component: {model: ./nowhere, text: "${input.lines} lines"}
"""


def test_validating_the_file_of_the_working_directory(command: Command, folder: Path) -> None:
    write(folder / "model-compose.yml", GOOD)
    result = command("validate")
    assert (result.code, result.error) == (0, "")
    assert result.text == "model-compose.yml: valid\n  A poem: topic, lines?\n"


def test_validating_files_folders_and_several(command: Command, folder: Path) -> None:
    file = write(folder / "other.yml", SEVERAL)
    assert command("validate", "-f", file).text == f"{file}: valid\n  short (A short poem): no input\n  long: lines\n"
    (folder / "inner").mkdir()
    write(folder / "inner" / "model-compose.yaml", GOOD)
    assert command("validate", "--file", "inner").text.startswith("inner/model-compose.yaml: valid\n")
    over = write(folder / "over.yml", 'component: {text: "${input.prompt}"}')
    assert command("validate", "-f", "inner", "-f", over).text.startswith(f"inner/model-compose.yaml, {over}: valid\n")
    assert command("validate", "inner", over).text.startswith(f"inner/model-compose.yaml, {over}: valid\n")


def test_what_is_hardly_meant_is_a_warning(command: Command, folder: Path) -> None:
    jobs = "{jobs: [{id: a}, {id: b, input: {x: '${jobs.a.output}'}}]}"
    write(folder / "model-compose.yml", f"component: {{model: a/b, text: x}}\nworkflow: {jobs}\n")
    result = command("validate")
    assert result.code == 0
    assert result.text.startswith("model-compose.yml: valid\n")
    assert result.error == (
        "warning: model-compose.yml:2:48: ${jobs.a.output}: 'b' does not wait for 'a', and sees nothing of it"
        " (add 'a' to its 'depends_on')\n"
    )


def test_all_problems_are_told_with_their_places(command: Command, folder: Path) -> None:
    write(folder / "model-compose.yml", "component:\n  model: a/b\n  txt: hello\n  params:\n    temperature: -5\n")
    result = command("validate")
    assert result.code == 2
    assert result.data == b""
    assert result.error.splitlines() == [
        "error: model-compose.yml:3:3: unknown key 'txt' in component (did you mean 'text'?)",
        "error: model-compose.yml:5:18: temperature: must be at least 0, got -5",
    ]


def test_there_is_no_file(command: Command) -> None:
    result = command("validate")
    assert result.code == 2
    said = "there is no model-compose.yml or model-compose.yaml in the working directory (name a file with -f FILE)"
    assert result.error == f"error: {said}\n"
    missing = command("validate", "-f", "no.yml")
    assert (missing.code, missing.error) == (2, "error: no.yml:1:1: there is no such file\n")


NEEDS_ENV = "component: {model: './${env.NAME}', text: '${input.prompt}'}"


def test_values_for_the_environment(command: Command, folder: Path) -> None:
    write(folder / "model-compose.yml", NEEDS_ENV)
    missing = command("validate")
    assert missing.code == 2
    assert "the environment variable 'NAME' is not set" in missing.error
    assert command("validate", "-e", "NAME=x").code == 0
    assert command("validate", "--env-file", write(folder / "a.env", "NAME=x\n")).code == 0
    bad = command("validate", "--env-file", write(folder / "b.env", "NAME=x\nwhat\n"))
    assert bad.code == 2
    assert "b.env:2:1: expected NAME=value" in bad.error
    for pair in ("NAME", "=x"):
        wrong = command("validate", "-e", pair)
        assert (wrong.code, wrong.error) == (2, f"error: -e {pair}: expected NAME=VALUE\n")
    write(folder / ".env", "NAME=x\n")
    assert command("validate").code == 0


def test_the_schema_of_an_input(command: Command, folder: Path) -> None:
    write(folder / "model-compose.yml", GOOD)
    result = command("schema")
    assert result.code == 0
    schema = json.loads(result.text)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == "A poem"
    assert schema["properties"]["lines"] == {"type": "integer", "description": "How long", "default": 4}
    assert schema["required"] == ["topic"]
    file = write(folder / "other.yml", SEVERAL)
    assert json.loads(command("schema", "long", "-f", file).text)["required"] == ["lines"]
    assert json.loads(command("schema", "-f", file).text)["properties"] == {}
    assert command("schema", "lnog", "-f", file).error == "error: there is no workflow 'lnog'; did you mean 'long'?\n"


def test_the_schema_of_documents_needs_no_document(command: Command) -> None:
    result = command("schema", "--document")
    assert result.code == 0
    Draft202012Validator.check_schema(json.loads(result.text))
    assert command("schema").code == 2


def test_the_picture_of_a_workflow(command: Command, folder: Path) -> None:
    file = write(folder / "other.yml", SEVERAL)
    result = command("graph", "long", "-f", file)
    assert (result.code, result.error) == (0, "")
    assert result.text.startswith("graph TD\n    J1((")
    assert result.text.endswith("J1 --> Output((Output))\n")
    assert command("graph", "lnog", "-f", file).error == "error: there is no workflow 'lnog'; did you mean 'long'?\n"


def test_rendering(command: Command, folder: Path) -> None:
    assert command("render", "Hello ${input.name | you}!").data == b"Hello you!"
    sources = '{"input": {"name": "床前", "n": [1, 2]}}'
    assert command("render", "Hello ${input.name}!", "--sources", sources).text == "Hello 床前!"
    assert json.loads(command("render", "${input.n}", "--sources", sources).text) == [1, 2]
    file = write(folder / "sources.json", sources)
    assert command("render", "${input.name}", "--sources", f"@{file}").text == "床前"
    assert command("render", "${input.name}", "--sources", "@-", input=sources.encode()).text == "床前"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["${input.n"], "never closed"),
        (["${inpt.n}"], "did you mean 'input'?"),
        (["${input.n as integr}"], "integer"),
        (["${input.n as integer}", "--sources", '{"input": {"n": "x"}}'], "expected an integer, got 'x'"),
        (["a", "--sources", "{"], "--sources:1:2: not valid JSON"),
        (["a", "--sources", "[]"], "--sources has to be a JSON object"),
        (["a", "--sources", "@no.json"], "no.json: cannot read the file"),
        (["a", "--sources", "[" * 100_000], "not valid JSON"),
    ],
)
def test_rendering_what_cannot_be(command: Command, arguments: list[str], said: str) -> None:
    result = command("render", *arguments)
    assert result.code == 2
    assert result.data == b""
    assert said in result.error
    assert result.error.startswith("error: ")
    assert result.error.count("\n") == 1
