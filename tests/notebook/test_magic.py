"""``%compose`` and ``%%compose`` in a shell: what they take, what they give, what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from IPython.core.displaypub import DisplayPublisher

from mcnb.errors import DocumentError, InvalidInputError, McnbError, NotSupportedError
from mcnb.models.cache import shared_cache
from mcnb.runtime import Compose, Run
from tests.notebook.conftest import Shell
from tests.support.runs import FIRST_LINE, Models, document
from tests.support.texts import POEM

Write = Callable[[str], Path]


def text_of(published: dict[str, Any]) -> str:
    return str(published["data"]["text/plain"])


def test_loading_the_extension_twice_changes_nothing(shell: Shell) -> None:
    from mcnb import load_ipython_extension

    before = shell.ip.magics_manager.magics["line"]["compose"]
    load_ipython_extension(shell.ip)
    assert shell.ip.magics_manager.magics["line"]["compose"] == before
    shell.good("%reload_ext mcnb")
    assert shell.ip.magics_manager.magics["line"]["compose"] == before
    assert shell.printed() == ""
    assert not shell.ip.custom_exceptions


def test_running_the_file_of_the_working_directory(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, output={"generated": "${result}"}))
    shell.ip.push({"line": FIRST_LINE})
    run = shell.good("%compose run -i prompt=$line --seed 3")
    assert isinstance(run, Run)
    assert run.output == {"generated": POEM}
    assert run.record.seed == 3
    first, *updates = shell.published
    assert not first.get("update")
    assert all(published["update"] for published in updates)
    assert {published["transient"]["display_id"] for published in shell.published} == {first["transient"]["display_id"]}
    assert text_of(updates[-1]).startswith(POEM)
    assert {"text/plain", "text/html", "text/markdown"} <= set(updates[-1]["data"])
    assert "tokens in" not in shell.printed(), "the run is the cell's value, and shown already"


def test_a_run_is_shown_again_when_it_is_asked_for(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet))
    shell.good('%compose run -o r -i prompt="x"')
    assert "tokens in" not in shell.printed()
    assert isinstance(shell.ip.user_ns["r"], Run)
    shell.good("r")
    assert "tokens in" in shell.printed()
    shell.good("_")
    assert "tokens in" in shell.printed()


def test_o_is_bound_while_the_run_goes_on_and_the_value_is_the_run(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet))
    value = shell.good("x = %compose run -i prompt=a -o r\nx is r")
    assert value is True


BODIES = [
    "prompt: PROMPT",
    "prompt: |\n  PROMPT",
    '{"prompt": "PROMPT"}',
    "# a comment\n'prompt': 'PROMPT'\n",
]


@pytest.mark.parametrize("body", BODIES)
def test_a_cell_s_body_is_the_input(shell: Shell, write: Write, models: Models, body: str) -> None:
    write(document(models.poet, max_output_length=1))
    run = shell.good("%%compose run\n" + body.replace("PROMPT", "Tyger {braces} $name %d"))
    assert run.record.input["prompt"].strip() == "Tyger {braces} $name %d"


def test_values_come_from_body_input_and_options_the_later_win(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, text="${input.a}${input.b}${input.c}", max_output_length=1))
    shell.ip.push({"mapping": {"b": "b2", "c": "c2"}, "third": "c3"})
    run = shell.good("%%compose run --input $mapping -i c=$third\na: a1\nb: b1\nc: c1")
    assert run.record.input == {"a": "a1", "b": "b2", "c": "c3"}


def test_variables_keep_their_type_and_texts_get_that_of_the_input(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, text="${input.l as json} ${input.n as integer} ${input.t}", max_output_length=1))
    shell.ip.push({"numbers": [1, {"a": None}]})
    run = shell.good("%compose run -i l=$numbers -i n=5 -i t=5")
    assert run.record.input == {"l": [1, {"a": None}], "n": 5, "t": "5"}
    assert shell.good("%compose run -i l=[1] -i n=5 -i t=$5").record.input == {"l": [1], "n": 5, "t": "$5"}
    assert shell.good('%compose run --input \'{"l": 1, "n": 2, "t": "{x}"}\'').record.input["t"] == "{x}"


def test_seed_and_timeout_may_be_variables(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, max_output_length=1))
    shell.ip.push({"number": 11, "limit": 60.0, "word": "x"})
    run = shell.good("%compose run -i prompt=a --seed $number --timeout $limit")
    assert run.record.seed == 11
    assert "--seed $word" in str(shell.error("%compose run -i prompt=a --seed $word"))


def test_loading_a_cell(shell: Shell, models: Models) -> None:
    text = document(models.poet, text="${env.WHO} {braces}", max_output_length=1)
    loaded = shell.good(f"%%compose load -o c -e WHO=Tyger\n{text}")
    assert isinstance(loaded, Compose)
    assert shell.ip.user_ns["c"] is loaded
    assert shell.good("%compose run").output.startswith("Tyger {braces}")
    assert shell.good("%compose run -e WHO=Lamb").output.startswith("Lamb {braces}")
    shell.ip.push({"who": "Child"})
    assert shell.good("%compose run -e WHO=$who").output.startswith("Child {braces}")
    assert "there is no variable 'whom'" in str(shell.error("%compose run -e WHO=$whom"))
    assert "<cell>: workflow()" in shell.printed()
    assert shell.good("c.run()").output.startswith("Tyger")


def test_loading_files(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, text="first", max_output_length=1))
    Path("other.yml").write_text(document(models.poet, text="other", max_output_length=1))
    Path("over.yml").write_text("component: {text: over}")
    assert shell.good("%compose run").output.startswith("first")
    shell.good("%compose load -f other.yml")
    assert shell.good("%compose run").output.startswith("other")
    assert shell.good("%compose run -f model-compose.yml").output.startswith("first")
    assert shell.good("%compose run").output.startswith("other"), "-f is for one run"
    shell.good("%compose load -f other.yml -f over.yml")
    assert shell.good("%compose run").output.startswith("over")
    assert "no.yml" in str(shell.error("%compose load -f no.yml"))
    assert shell.good("%compose run").output.startswith("over"), "a file that cannot be loaded changes nothing"


def test_an_edited_file_takes_effect_and_loads_nothing(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, text="one", max_output_length=1))
    shell.good("%compose load")
    assert shell.good("%compose run").output.startswith("one")
    loads = shared_cache().loads
    write(document(models.poet, text="two", max_output_length=1))
    assert shell.good("%compose run").output.startswith("two")
    assert shared_cache().loads == loads


@pytest.mark.parametrize(
    ("cell", "kind", "said"),
    [
        ("%compose", InvalidInputError, "%compose needs a command: load, run, form, validate,"),
        ("%compose rum", InvalidInputError, "%compose has no command 'rum'; did you mean 'run'?"),
        ("%compose frobnicate", InvalidInputError, "%compose has no command 'frobnicate'; known: load, run, form"),
        ("%compose --frob", InvalidInputError, "the command comes before its options; see %compose --help"),
        ("%compose run --no", InvalidInputError, "has no option --no; did you mean '--noblock'?"),
        ("%compose run -i", InvalidInputError, "argument -i: expected one argument"),
        ("%compose run -i prompt=two words here", InvalidInputError, "'here' is too much; quote values with spaces"),
        ("%compose run -i prompt=Once upon", InvalidInputError, "'upon'; quote values with spaces: -i prompt=\"two"),
        ("%compose run -i prompt=a -p temprature=1", InvalidInputError, "did you mean 'temperature'?"),
        ("%compose run -i prompt=a -p temperature=hot", InvalidInputError, "temperature: expected a number, got 'hot'"),
        ("%compose run -i prompt=a -p temperature", InvalidInputError, "-p temperature: expected NAME=VALUE"),
        ("%compose run -i prompt=a --timeout 0", InvalidInputError, "timeout has to be more than 0 seconds"),
        ("%%compose ps\nbody", InvalidInputError, "%%compose ps takes no cell body"),
        ("%compose history -n x", InvalidInputError, "argument -n: invalid int value: 'x'"),
        ("%compose run --frob", InvalidInputError, "%compose run has no option --frob; known: -h, --help, -i"),
        ('%compose run -i prompt="a', InvalidInputError, "a quote is not closed"),
        ("%compose run -i prompt", InvalidInputError, "-i prompt: expected NAME=VALUE"),
        ("%compose run -i promt=a", InvalidInputError, "did you mean 'prompt'?"),
        ("%compose run", InvalidInputError, "the input 'prompt' is missing"),
        ("%compose run other -i prompt=a", InvalidInputError, "there is no workflow 'other'"),
        ("%compose run -i prompt=$teh_text", InvalidInputError, "did you mean 'the_text'?"),
        ("%compose run --input $the_text", InvalidInputError, "--input: not valid JSON"),
        ("%compose run --input [1]", InvalidInputError, "--input has to be a mapping"),
        ("%compose run -i prompt=a -o 1x", InvalidInputError, "-o 1x: not a variable name"),
        ("%compose run -i prompt=a -o class", InvalidInputError, "-o class: not a variable name"),
        ("%compose run -i prompt=a --seed x", InvalidInputError, "--seed x: expected a number"),
        ("%%compose run\nprompt: [", InvalidInputError, "the cell's body is not a YAML or JSON mapping: <cell>:"),
        ("%compose run -f no.yml", DocumentError, "no.yml:1:1: there is no such file"),
        ("%%compose load -f x.yml\na: 1", InvalidInputError, "takes the document from the cell"),
        ("%%compose load\ncomponent: {model: a/b, txt: x}", DocumentError, "<cell>:1:25"),
        ("%%compose load\n# nothing", DocumentError, "<cell>:1:1: the document is empty"),
    ],
)
def test_what_is_refused(
    shell: Shell, write: Write, models: Models, cell: str, kind: type[Exception], said: str
) -> None:
    write(document(models.poet))
    shell.ip.push({"the_text": "words"})
    error = shell.error(cell)
    assert type(error) is kind
    assert said in str(error)
    printed = shell.printed()
    assert printed.startswith(f"{kind.__name__}: ")
    assert "Traceback" not in printed
    assert "mcnb/" not in printed


def test_what_this_version_cannot_run(shell: Shell) -> None:
    asked = "quantization: {type: int8, compute_dtype: float32}"
    shell.good(f"%%compose load\ncomponent: {{model: a/b, {asked}, text: hello}}\n")
    assert isinstance(shell.error("%compose run"), NotSupportedError)


def test_a_terminal_shows_the_end_alone(
    shell: Shell, write: Write, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What IPython prints in a terminal cannot be updated."""
    write(document(models.poet))
    shown: list[dict[str, Any]] = []
    monkeypatch.setattr(shell.ip, "display_pub", DisplayPublisher(shell=shell.ip))
    monkeypatch.setattr(DisplayPublisher, "publish", lambda self, data, *_, **__: shown.append(data))
    shell.good("%compose run -i prompt=a")
    assert len(shown) == 1
    assert "tokens in" in shown[0]["text/plain"]


def test_a_failed_run_raises_and_stays(shell: Shell, write: Write) -> None:
    write(document("./nowhere"))
    error = shell.error("%compose run -i prompt=a -o r")
    assert isinstance(error, McnbError)
    assert error.code == "model_not_found"
    run = shell.ip.user_ns["r"]
    assert run.state == "failed"
    assert text_of(shell.published[-1]).startswith("failed: ./nowhere")
    assert shell.printed().startswith("ModelNotFoundError: ./nowhere: there is no file or folder")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--help", ["usage: %compose", "load a compose file", "run a workflow"]),
        ("run --help", ["usage: %compose run", "-i NAME=VALUE", "--seed N", "-o NAME"]),
        ("load -h", ["usage: %compose load", "-f FILE", "-e NAME=VALUE"]),
    ],
)
def test_help_is_printed_and_nothing_happens(shell: Shell, line: str, words: list[str]) -> None:
    assert shell.good(f"%compose {line}") is None
    printed = shell.printed()
    for word in words:
        assert word in printed


def test_markup_in_a_prompt_is_escaped(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.poet, max_output_length=1))
    shell.ip.push({"bad": "<script>alert(1)</script>"})
    shell.good("%compose run -i prompt=$bad")
    for published in shell.published:
        assert "<script" not in published["data"]["text/html"]
    assert "&lt;script&gt;" in shell.published[-1]["data"]["text/html"]


def test_the_record_is_repeated_from_a_notebook(shell: Shell, write: Write, models: Models) -> None:
    write(document(models.dice, max_output_length=5))
    shell.good("%compose load -o c")
    run = shell.good("%compose run -i prompt=a -o r")
    again = shell.good("c.repeat(r.record)")
    assert again.output == run.output
    assert json.dumps(run.record.to_dict())
