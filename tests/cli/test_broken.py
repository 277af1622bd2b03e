"""Everything that can be wrong, through the command: one clear error with its place, an exit code, no traceback."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Command, Result, write
from tests.support.hub import StandInHub
from tests.support.runs import Models, document
from tests.support.tiny_models import broken, gguf_llama

BROKEN_DOCUMENTS = sorted((Path(__file__).parents[1] / "compose" / "data" / "broken").glob("*.yml"))

NOISE = re.compile(r"Traceback|File \"|pydantic|torch\.|transformers\.|<class |object at 0x|NoneType")


def check(result: Result, code: int, *said: str) -> None:
    """Check that a failure is told as it should be."""
    assert result.code == code
    assert result.data == b""
    lines = [line for line in result.error.splitlines() if not line.startswith(("loading ", "downloading "))]
    assert lines
    for line in lines:
        assert line.startswith("error: ")
        assert len(line) < 1000
    assert not NOISE.search(result.error)
    for words in said:
        assert words in result.error
    assert "__" not in result.error.replace(str(Path.cwd()), ""), "names that nobody gave are not told"


def test_there_are_many() -> None:
    assert len(BROKEN_DOCUMENTS) + len(AT_RUN_TIME) + len(INPUTS) >= 60


@pytest.mark.parametrize("path", BROKEN_DOCUMENTS, ids=lambda path: path.stem)
def test_documents(command: Command, path: Path) -> None:
    for name in ("validate", "run"):
        result = command(name, "-f", path)
        check(result, 2)
        for line in result.error.splitlines():
            assert re.match(rf"error: {re.escape(str(path))}:\d+:\d+: ", line), "each problem has its place"


# --- inputs -----------------------------------------------------------------------------------------------------------

INPUTS: dict[str, tuple[list[str], str]] = {
    "missing": ([], "the input 'prompt' is missing"),
    "unknown": (["-i", "prompt=a", "-i", "temprature=1"], "did you mean 'temperature'"),
    "wrong type": (["-i", "prompt=a", "-i", "temperature=hot"], "input 'temperature': expected a number, got 'hot'"),
    "wrong type in JSON": (["--input", '{"prompt": "a", "temperature": []}'], "input 'temperature': expected a number"),
    "out of range": (["-i", "prompt=a", "-i", "temperature=-5"], "temperature: must be at least 0, got -5"),
    "no choice": (["-i", "prompt=a", "-i", "style=loud"], "input 'style': expected one of short, long, got 'loud'"),
    "broken JSON": (["--input", '{"prompt": "a",}'], "--input:1:"),
    "no object": (["--input", "5"], "has to be a JSON object"),
    "no pair": (["-i", "=a"], "expected NAME=VALUE"),
    "seed": (["-i", "prompt=a", "--seed", "-3"], "seed: must be at least 0, got -3"),
    "workflow": (["other", "-i", "prompt=a"], "there is no workflow 'other'"),
    "env": (["-i", "prompt=a", "-e", "X"], "-e X: expected NAME=VALUE"),
    "env file": (["-i", "prompt=a", "--env-file", "no.env"], "no.env:1:1: cannot read the env file"),
    "output": (["-i", "prompt=a", "-o", "/"], "-o /: this is a folder"),
}

ASKING = """
component:
  model: MODEL
  text: "${input.prompt as text} ${input.style as select/short,long | short}"
  params: {temperature: "${input.temperature as number | 1}", max_output_length: 1}
"""


@pytest.mark.parametrize("name", INPUTS)
def test_inputs(command: Command, folder: Path, models: Models, name: str) -> None:
    write(folder / "model-compose.yml", ASKING.replace("MODEL", str(models.poet)))
    arguments, said = INPUTS[name]
    check(command("run", *arguments), 2, said)


# --- models -----------------------------------------------------------------------------------------------------------


def damaged(kind: str) -> Callable[[Path, Models], Path]:
    def make(folder: Path, models: Models) -> Path:
        target = Path(shutil.copytree(models.poet, folder / "model"))
        broken(target, kind)
        return target

    return make


def without(name: str) -> Callable[[Path, Models], Path]:
    def make(folder: Path, models: Models) -> Path:
        target = Path(shutil.copytree(models.poet, folder / "model"))
        (target / name).unlink()
        return target

    return make


def config(**change: Any) -> Callable[[Path, Models], Path]:
    def make(folder: Path, models: Models) -> Path:
        target = Path(shutil.copytree(models.poet, folder / "model"))
        file = target / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
        return target

    return make


def pickled(folder: Path, models: Models) -> Path:
    target = without("model.safetensors")(folder, models)
    (target / "pytorch_model.bin").write_bytes(b"PK\x03\x04 not really")
    return target


def cut_gguf(folder: Path, models: Models) -> Path:
    file = gguf_llama(folder / "gguf")
    file.write_bytes(file.read_bytes()[:5000])
    return file


def no_gguf(folder: Path, models: Models) -> Path:
    return write(folder / "model.gguf", "not a model")


def text_file(folder: Path, models: Models) -> Path:
    return write(folder / "model.txt", "not a model")


def empty_folder(folder: Path, models: Models) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


AT_RUN_TIME: dict[str, tuple[Callable[[Path, Models], Path], str]] = {
    "missing folder": (lambda folder, models: folder / "nowhere", "there is no file or folder"),
    "empty folder": (empty_folder, "config.json"),
    "no weights": (without("model.safetensors"), "no weights"),
    "no config": (without("config.json"), "config.json is missing"),
    "cut shard": (damaged("cut_shard"), "model.safetensors"),
    "empty shard": (damaged("empty_shard"), "model.safetensors"),
    "bad header": (damaged("bad_header"), "model.safetensors"),
    "bad config": (damaged("bad_config_json"), "config.json"),
    "no tokenizer": (damaged("no_tokenizer"), "tokenizer in"),
    "remote code": (damaged("remote_code"), "needs code of its own to run"),
    "unknown architecture": (config(model_type="mystery"), "architecture 'mystery'"),
    "no language model": (config(model_type="vit"), "does not generate text"),
    "pickle": (pickled, "allow_pickle: true"),
    "cut GGUF": (cut_gguf, "tiny-llama.gguf"),
    "no GGUF": (no_gguf, "not a GGUF file"),
    "neither": (text_file, "neither a model's folder nor a .gguf file"),
}


@pytest.mark.parametrize("name", AT_RUN_TIME)
def test_models(command: Command, folder: Path, models: Models, name: str) -> None:
    make, said = AT_RUN_TIME[name]
    write(folder / "model-compose.yml", document(make(folder, models), max_output_length=1))
    check(command("run", "-i", "prompt=a", "-q"), 1, said, str(folder))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("HuggingFaceTB/SmolLM3-1.7B", "did you mean HuggingFaceTB/SmolLM"),
        ("nobody/knows", "there is no repository nobody/knows"),
        ("microsoft/DialoGPT-large", "allow_pickle: true"),
    ],
)
def test_repositories(
    command: Command, folder: Path, hub: StandInHub, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    write(folder / "model-compose.yml", document(name))
    check(command("run", "-i", "prompt=a", "-q"), 1, name, said)


def test_a_hub_that_cannot_be_reached(
    command: Command, folder: Path, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.refuse_api(status=404)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write(folder / "model-compose.yml", document("a/b"))
    check(command("run", "-i", "prompt=a", "-q"), 1, "a/b is not on this machine", "offline")


# --- runs -------------------------------------------------------------------------------------------------------------

RUNS: dict[str, tuple[dict[str, Any], int, str]] = {
    "too long a prompt": ({"text": "${input.prompt} " * 300}, 1, "can see 128 at once"),
    "an empty prompt": ({"text": ""}, 2, "the prompt is empty"),
    "no prompt": ({"text": "${input.other.prompt | ${input.nothing}}"}, 2, "the prompt is missing"),
    "a minimum over the maximum": (
        {"min_output_length": "${input.low as integer | 9}", "max_output_length": 3},
        2,
        "min_output_length 9 is more than max_output_length 3",
    ),
    "an output of another type": ({"output": "${result as integer}"}, 2, "result: expected an integer, got"),
    "a task that is not supported": (
        {"quantization": {"type": "int4", "double_quant": True}},
        1,
        "'quantization: int4 with double_quant' is not supported yet",
    ),
    "a device that is not there": ({"device": "cuda:7"}, 1, "device 'cuda:7', which this machine does not have"),
    "several equal sequences": ({"num_return_sequences": 2, "params": {"do_sample": False}}, 2, "num_return_sequences"),
}


@pytest.mark.parametrize("name", RUNS)
def test_runs(command: Command, folder: Path, models: Models, name: str) -> None:
    changes, code, said = RUNS[name]
    write(folder / "model-compose.yml", document(models.dice, **changes))
    pair = ["-i", "prompt=a"] if "${input.prompt" in changes.get("text", "${input.prompt") else []
    check(command("run", *pair, "-q"), code, said)
