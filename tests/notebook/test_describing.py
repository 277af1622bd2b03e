"""``%compose validate, schema, graph, form, connect``, the help and the settings."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from mcnb.errors import DocumentError, InvalidInputError
from mcnb.models.cache import shared_cache
from mcnb.notebook.parser import COMMANDS
from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Models, document

Write = Callable[[str], Path]

TWO_WORKFLOWS = """
components: [{id: c, model: ./nowhere, text: "${input.prompt as text} ${input.n as integer | 3}"}]
workflows:
  - {id: poem, title: A poem, job: {component: c}, default: true}
  - {id: fixed, job: {component: c, input: {prompt: x, n: 1}}}
"""


def test_validate_says_what_there_is_and_loads_nothing(shell: Shell, write: Write) -> None:
    write(TWO_WORKFLOWS)
    shell.good("%compose validate")
    assert "model-compose.yml: valid\n  poem (A poem): prompt, n?\n  fixed: no input" in shell.printed()
    assert shell.good("%compose validate model-compose.yml").startswith("model-compose.yml: valid")
    assert shell.good("%%compose validate\ncomponent: {model: a/b, text: x}").startswith("<cell>: valid")
    assert not shared_cache().loaded()


def test_validate_warns(shell: Shell, write: Write) -> None:
    jobs = "{jobs: [{id: a}, {id: b, depends_on: [[]]}]}"
    write(f"component: {{model: a/b, text: x}}\nworkflow: {jobs}\n")
    first, second, *_ = shell.good("%compose validate model-compose.yml").splitlines()
    assert first.startswith("warning: model-compose.yml:2:28: job 'b' can never run")
    assert second == "model-compose.yml: valid"


def test_validate_tells_all_problems(shell: Shell, write: Write) -> None:
    write("component: {modl: a/b, txt: x}")
    error = shell.error("%compose validate")
    assert isinstance(error, DocumentError)
    assert len(error.problems) >= 2
    assert "did you mean 'model'?" in shell.printed()
    assert isinstance(shell.error("%compose validate no.yml"), DocumentError)
    assert isinstance(shell.error("%%compose validate -f no.yml\ncomponent: {}"), InvalidInputError)


def test_schema_is_json_and_text(shell: Shell, write: Write) -> None:
    write(TWO_WORKFLOWS)
    schema = shell.good("%compose schema -o s")
    printed = shell.printed()
    assert '"title": "A poem"' in printed
    assert shell.ip.user_ns["s"] == schema
    jsonschema.validate({"prompt": "a", "n": 4}, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"prompt": "a", "n": "four"}, schema)
    data, metadata = shell.ip.display_formatter.format(schema)
    assert data["application/json"] == schema
    assert metadata["application/json"] == {"expanded": True}
    assert data["text/plain"] == schema.text
    assert shell.good("%compose schema fixed")["properties"] == {}
    assert "component" in shell.good("%compose schema --document")["properties"]
    assert "did you mean 'poem'?" in str(shell.error("%compose schema poen"))


def test_graph_is_a_picture_where_it_can_be(shell: Shell, write: Write) -> None:
    write(TWO_WORKFLOWS)
    shell.good("%compose graph")
    assert "graph TD" in shell.printed()
    data, _ = shell.ip.display_formatter.format(shell.good("%compose graph poem"))
    assert data["text/vnd.mermaid"] == data["text/plain"]
    assert data["text/plain"].startswith("graph TD")
    assert data["text/markdown"].startswith("```mermaid\ngraph TD\n")
    assert data["text/markdown"].endswith("\n```")
    assert data.keys() == {"text/vnd.mermaid", "text/markdown", "text/plain"}


def test_a_form_gets_the_values(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet))
    form = shell.good(f"%compose form -i prompt={FIRST_LINE.split()[0]} -o f")
    from mcnb.notebook.form import RunForm

    assert isinstance(form, RunForm)
    assert shell.ip.user_ns["f"] is form
    form.close()


@pytest.mark.parametrize("url", ["gpu-box:8888", "ftp://x", "http://", "http://x:99999", "http://[x"])
def test_what_is_no_address(shell: Shell, url: str) -> None:
    error = shell.error(f"%compose connect {url}")
    assert isinstance(error, InvalidInputError)
    assert "write it like http://gpu-box:8888" in str(error)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_stands_in_the_docstring(shell: Shell, command: str) -> None:
    assert shell.good(f"%compose {command} --help") is None
    printed = shell.printed()
    assert printed.startswith(f"usage: %compose {command}")
    assert COMMANDS[command][1:] in printed
    magic = shell.ip.magics_manager.magics["line"]["compose"]
    assert re.search(rf"%compose {command}\b", magic.__doc__ or "")
    shell.good("%compose -h")
    assert f"  {command} " in shell.printed()


def test_the_settings_are_listed_with_help(shell: Shell) -> None:
    shell.good("%config Compose")
    printed = shell.printed()
    for name in ("quiet", "show_record", "interval", "timeout"):
        assert f"Compose.{name}=" in printed
    assert "Seconds between two updates" in printed
    shell.good("%reload_ext mcnb")
    assert [type(item).__name__ for item in shell.ip.configurables].count("Compose") == 1


def test_settings_take_effect(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, max_output_length=2))
    shell.good("%config Compose.show_record = False")
    run = shell.good("%compose run -i prompt=a -o r")
    assert "<details" not in shell.published[-1]["data"]["text/html"]
    assert "<details" in run._repr_mimebundle_()["text/html"]
    assert "<details" not in shell.good("get_ipython().display_formatter.format(r)")[0]["text/html"]
    shell.good("%config Compose.show_record = True")
    shell.good("%compose run -i prompt=a")
    assert "<details" in shell.published[-1]["data"]["text/html"]
    count = len(shell.published)
    shell.good("%config Compose.quiet = True")
    shell.printed()
    assert shell.good("%compose run -i prompt=a").state == "completed"
    assert len(shell.published) == count
    assert "tokens in" not in shell.printed()
    shell.good("%config Compose.timeout = 0.0001")
    assert type(shell.error("%compose run -i prompt=a")).__name__ == "RunTimeoutError"
    assert shell.good("%compose run -i prompt=a --timeout 60").state == "completed"
