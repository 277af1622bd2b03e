"""``mcnb models list | fetch | estimate | remove``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcnb.cli import background
from mcnb.errors import RunCancelledError
from mcnb.models.control import Control
from mcnb.models.progress import Report
from tests.cli.conftest import Command, write
from tests.support.gguf_model import gguf_llama
from tests.support.hub import StandInHub
from tests.support.runs import document

SMALL, LARGE = "microsoft/DialoGPT-small", "microsoft/DialoGPT-large"


@pytest.fixture(autouse=True)
def _hub(hub: StandInHub, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)


def test_from_nothing_to_nothing(command: Command, hub: StandInHub) -> None:
    empty = command("models", "list")
    assert (empty.code, empty.text) == (0, "no models yet; 'mcnb models fetch' brings one\n")
    assert command("models", "list", "--json").text == "[]\n"
    fetched = command("models", "fetch", SMALL)
    assert fetched.code == 0
    assert fetched.text.startswith(f"{SMALL} {hub.commit(SMALL)}: ")
    assert fetched.error.startswith(f"downloading {SMALL}  ")
    sent = hub.bytes_sent
    assert command("models", "fetch", SMALL).code == 0
    assert hub.bytes_sent == sent, "what is here is not fetched again"
    head, row = command("models", "list").text.splitlines()
    assert head.split() == ["model", "provider", "size", "folder"]
    assert row.split()[:2] == [SMALL, "huggingface"]
    assert head.index("provider") == row.index("huggingface"), "columns are aligned"
    [listed] = json.loads(command("models", "list", "--json").text)
    assert (listed["model"], listed["provider"]) == (SMALL, "huggingface")
    kept = [path for path in Path(listed["folder"]).rglob("*") if path.is_file() and not path.is_symlink()]
    assert listed["size"] == sum(path.stat().st_size for path in kept)
    asked = command("models", "remove", SMALL, input="n\n")
    assert asked.code == 1
    assert "Delete the model's files?" in asked.text
    removed = command("models", "remove", SMALL, "--yes")
    assert removed.code == 0
    assert removed.text.startswith(f"{SMALL}: ")
    assert removed.text.endswith(" freed\n")
    assert command("models", "list").text == empty.text
    gone = command("models", "remove", SMALL, "-y")
    assert gone.code == 1
    assert f"there is no model {SMALL} on this machine" in gone.error


def test_fetching_what_a_file_names(command: Command, folder: Path) -> None:
    write(folder / "model-compose.yml", document(SMALL))
    assert command("models", "fetch").text.startswith(f"{SMALL} ")
    file = write(folder / "other.yml", document(LARGE, allow_pickle=True))
    assert command("models", "fetch", "-f", file).text.startswith(f"{LARGE} ")


def test_pickled_weights_are_refused_with_the_remedy(command: Command) -> None:
    refused = command("models", "fetch", LARGE)
    assert (refused.code, refused.data) == (1, b"")
    assert "pickled weights only" in refused.error
    assert command("models", "fetch", LARGE, "--allow-pickle").code == 0


def test_a_mistyped_name(command: Command) -> None:
    result = command("models", "fetch", "HuggingFaceTB/SmolLM3-1.7B")
    assert result.code == 1
    assert "did you mean HuggingFaceTB/SmolLM" in result.error


@pytest.mark.parametrize("command_name", ["fetch", "estimate"])
@pytest.mark.parametrize("name", ["a b", "a/b/c", "pypi:", "pypi:../x"])
def test_what_is_no_model(command: Command, command_name: str, name: str) -> None:
    result = command("models", command_name, name)
    assert result.code == 2
    assert result.error.startswith(f"error: {name}: ")
    assert result.error.count("\n") == 1
    assert "pydantic" not in result.error


def test_nothing_to_fetch(command: Command) -> None:
    result = command("models", "fetch")
    assert result.code == 2
    assert "there is no model-compose.yml" in result.error


def test_a_model_and_a_file_at_once(command: Command, folder: Path) -> None:
    file = write(folder / "other.yml", document(SMALL))
    result = command("models", "fetch", SMALL, "-f", file)
    assert (result.code, result.error) == (2, "error: name a MODEL or a compose file with -f, not both\n")


def test_fetching_what_a_file_names_by_the_environment_and_within_a_job(command: Command, folder: Path) -> None:
    text = "workflow: {component: {model: 'microsoft/${env.NAME}', text: hello}}"
    write(folder / "model-compose.yml", text)
    assert command("models", "fetch", "-e", "NAME=DialoGPT-small").text.startswith(f"{SMALL} ")
    assert "'NAME' is not set" in command("models", "fetch").error


def test_an_interrupt_stops_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[int] = []
    wait = background.wait

    def interrupted(outcomes: Any, timeout: float | None = None) -> Any:
        waits.append(1)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(outcomes, timeout)

    stopped: list[str] = []

    def work(control: Control, report: Report) -> None:
        try:
            control.wait(60)
        except RunCancelledError as error:
            stopped.append(error.code)
            raise

    monkeypatch.setattr(background, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        background.in_background(work)
    assert stopped == ["cancelled"]


def test_estimating(command: Command, hub: StandInHub) -> None:
    result = command("models", "estimate", SMALL, "--context", "100", "--rows", "8")
    assert result.code == 0
    first, head, *rows, last = result.text.splitlines()
    assert first.startswith(f"{SMALL}: ")
    assert first.endswith(" parameters; keys and values of 8 texts of 100 tokens")
    assert head.split() == ["dtype", "weights", "keys/values", "activations", "total", "free", "fits"]
    assert [row.split()[0] for row in rows] == ["float32", "bfloat16", "int8", "int4", "nf4"]
    assert {row.split()[-1] for row in rows} == {"yes"}
    assert last.startswith("free memory of ")
    assert not [request for request in hub.requests if request.path.endswith((".safetensors", ".bin"))]
    wrong = command("models", "estimate", SMALL, "--context", "0")
    assert wrong.code == 2


def test_what_is_fetched_follows_the_driver(command: Command, folder: Path) -> None:
    file = gguf_llama(folder / "gguf")
    (folder / "one.yml").write_text(f"component: {{driver: llamacpp, model: {file}, text: a}}")
    said = command("models", "fetch", "-f", str(folder / "one.yml"))
    assert said.text.strip().endswith(f"in {file.parent}")
    assert not list(file.parent.glob("*-safetensors"))
    options = "{base_url: 'http://127.0.0.1:1/v1'}"
    (folder / "two.yml").write_text(f"component: {{driver: openai, options: {options}, model: a/b, text: a}}")
    said = command("models", "fetch", "-f", str(folder / "two.yml"))
    assert said.text == "a/b: on a server, nothing to fetch\n"
