"""The same document on another engine: runs, records, repeats, secrets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import McnbError, UnsupportedModelError
from mcnb.models.drivers import driver_named
from mcnb.runtime import Compose, Runtime, load
from tests.models.drivers.scripted_server import ScriptedServer, answer, piece, stream
from tests.support.gguf_model import gguf_llama

KEY = "sk-very-secret"


@pytest.fixture
def scripted() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


def served(scripted: ScriptedServer, runtime: Runtime, **options: Any) -> Compose:
    component = {
        "driver": "openai",
        "model": "someone/model",
        "options": {"base_url": scripted.url, "api_key": KEY, "model": "m", **options},
        "prompt": "${input.prompt}",
        "max_output_length": 8,
    }
    return load(text=json.dumps({"component": component}), runtime=runtime)


def test_a_record_tells_the_engine_and_no_key(runtime: Runtime, scripted: ScriptedServer) -> None:
    scripted.replies.append(stream(piece(" a time", "stop", usage={"prompt_tokens": 3, "completion_tokens": 2})))
    run = served(scripted, runtime).run(prompt="Once upon")
    assert run.output == "Once upon a time"
    record = run.record.to_dict()
    (generation,) = record["generations"]
    assert generation["driver"]["name"] == "openai"
    assert generation["driver"]["version"].startswith("httpx ")
    assert generation["driver"]["base_url"] == scripted.url
    assert generation["model"]["name"] == "m"
    assert (generation["prompt_tokens"], generation["output_tokens"], generation["finish_reasons"]) == (3, 2, ["eos"])
    assert generation["batch_invariant"] is False
    assert KEY not in json.dumps(record)
    assert record["document"]["source"]["component"]["options"]["api_key"] == "***"


def test_a_key_comes_from_the_environment(
    runtime: Runtime, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELS_KEY", KEY)
    scripted.replies.extend([stream(piece(" a", "stop")), stream(piece(" a", "stop"))])
    run = served(scripted, runtime, api_key="${env.MODELS_KEY}").run(prompt="Once")
    assert scripted.texts()[0].headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(run.record.to_dict())
    assert run.record.document["source"]["component"]["options"]["api_key"] == "${env.MODELS_KEY}"
    again = runtime.repeat(run.record)
    assert again.result(60) == "Once a"
    assert scripted.texts()[1].headers["authorization"] == f"Bearer {KEY}"
    assert scripted.texts()[0].body == scripted.texts()[1].body


def test_an_error_tells_no_key(runtime: Runtime, scripted: ScriptedServer) -> None:
    scripted.replies.append(answer(401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}))
    with pytest.raises(McnbError) as caught:
        served(scripted, runtime).run(prompt="Once")
    assert caught.value.code == "model_access"
    assert KEY not in str(caught.value)


def test_a_conversation_is_recorded_as_it_was_sent(runtime: Runtime, scripted: ScriptedServer) -> None:
    scripted.replies.append(
        stream({"choices": [{"delta": {"content": "Yes."}, "finish_reason": None}]}, piece("", "stop"))
    )
    component = {
        "task": "chat-completion",
        "driver": "openai",
        "model": "m",
        "options": {"base_url": scripted.url},
        "messages": [{"role": "user", "content": "${input.question}"}],
    }
    run = load(text=json.dumps({"component": component}), runtime=runtime).run(question="Are you there?")
    assert run.output == "Yes."
    assert json.loads(run.record.generations[0].prompt or "") == [{"role": "user", "content": "Are you there?"}]


def test_a_file_runs_and_repeats(runtime: Runtime, tmp_path: Path) -> None:
    pytest.importorskip("llama_cpp")
    file = gguf_llama(tmp_path)
    component = {"driver": "llamacpp", "model": str(file), "options": {"context_length": 64, "n_threads": 1}}
    document = {"component": {**component, "prompt": "${input.prompt}", "max_output_length": 8}}
    run = load(text=json.dumps(document), runtime=runtime).run(prompt="Once")
    (generation,) = run.record.generations
    assert generation.driver["name"] == "llamacpp"
    assert generation.driver["n_ctx"] == 64
    assert runtime.repeat(run.record).result(60) == run.output
    assert not list(tmp_path.glob("*-safetensors"))  # the file is used as it is


@pytest.mark.parametrize(("driver", "package"), [("llamacpp", "llama_cpp"), ("openai", "httpx"), ("vllm", "vllm")])
def test_an_engine_that_is_not_installed_says_how(
    runtime: Runtime, scripted: ScriptedServer, monkeypatch: pytest.MonkeyPatch, driver: str, package: str
) -> None:
    engine = driver_named(driver)
    assert package in engine.packages
    monkeypatch.setattr(engine, "packages", ("a_package_that_is_not_there",))
    options = {"base_url": scripted.url} if driver == "openai" else {}
    component = {"driver": driver, "model": "./a.gguf", "options": options, "prompt": "a"}
    with pytest.raises(UnsupportedModelError, match=rf"'driver: {driver}' needs .*pip install 'mcnb\[{driver}\]'"):
        load(text=json.dumps({"component": component}), runtime=runtime).run()


def test_adapters_without_their_package_are_refused(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mcnb.runtime.engines._is_there", lambda package: package != "peft")
    component = {"model": "./model", "peft_adapters": [{"model": "./adapter"}], "prompt": "a"}
    with pytest.raises(UnsupportedModelError, match=r"'peft_adapters' needs peft.*pip install 'mcnb\[adapters\]'"):
        load(text=json.dumps({"component": component}), runtime=runtime).run()
