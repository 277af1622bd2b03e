"""Environment values and access tokens are written down nowhere."""

from __future__ import annotations

import json

import pytest

from mcnb.compose import Environment
from mcnb.errors import DocumentError
from mcnb.runtime import Runtime, load
from mcnb.runtime.provenance import sha256
from mcnb.runtime.redaction import REDACTED, blacken, without_blackened, without_tokens
from tests.support.hub import StandInHub
from tests.support.runs import Models, document

PATIENCE = 60

SECRET = "hunter2-the-secret"


def test_environment_values_are_nowhere_in_a_record(runtime: Runtime, models: Models) -> None:
    text = document(models.poet, text="${env.WHO}: ${input.prompt}", stop_sequences=["${env.WHO}"], max_output_length=1)
    run = load(text=text, env={"WHO": SECRET}, runtime=runtime).run(prompt="a")
    assert run.output.startswith(f"{SECRET}: a"), "the run itself uses the value"
    data = json.dumps(run.record.to_dict())
    assert SECRET not in data
    assert run.record.generations[0].prompt == f"{REDACTED}: a"
    assert run.record.generations[0].prompt_sha256 == sha256(f"{SECRET}: a")
    assert run.record.document["env"] == ["WHO"]


def test_a_record_is_repeated_with_the_environment_of_the_repetition(runtime: Runtime, models: Models) -> None:
    text = document(models.dice, text="${env.WHO}: ${input.prompt}", max_output_length=5)
    loaded = load(text=text, env={"WHO": SECRET}, runtime=runtime)
    run = loaded.run(prompt="a")
    assert loaded.repeat(run.record).output == run.output
    with pytest.raises(DocumentError, match="'WHO' is not set"):
        runtime.repeat(run.record)
    again = runtime.repeat(run.record, environment=Environment(overrides={"WHO": SECRET}))
    assert again.result(PATIENCE) == run.output


def test_secrets_are_blackened_in_errors_and_events(runtime: Runtime, models: Models) -> None:
    text = document(models.poet, params={"temperature": "${input.t}"}, text="${env.WHO} ${input.prompt}")
    run = load(text=text, env={"WHO": SECRET}, runtime=runtime).submit(prompt="a", t=f"x{SECRET}")
    assert run.wait(PATIENCE)
    assert run.error is not None
    assert "temperature" in run.error.message
    assert SECRET not in f"{run.error} {run.error.args} {run.events_after(0)[-1]}"
    assert REDACTED in run.error.message


def test_tokens_of_a_document_are_blackened_and_not_sent_when_it_is_repeated(
    runtime: Runtime, hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    hub.gate("microsoft/DialoGPT-small")
    source = {"provider": "huggingface", "repository": "microsoft/DialoGPT-small", "token": hub.token}
    text = json.dumps({"component": {"model": source, "text": "${input.prompt}", "max_output_length": 2}})
    run = load(text=text, runtime=runtime).run(prompt="a")
    assert hub.token not in json.dumps(run.record.to_dict())
    assert run.record.document["source"]["component"]["model"]["token"] == REDACTED
    assert load(text=text, runtime=runtime).repeat(run.record).output == run.output


def test_only_tokens_of_models_are_blackened() -> None:
    source = {
        "component": {"model": {"repository": "a/b", "token": "hf_abc"}, "peft_adapters": [{"model": {"token": "t"}}]},
        "workflow": {"input": {"token": "a word", "model": "x"}},
    }
    told = without_tokens(source)
    assert told["component"]["model"] == {"repository": "a/b", "token": REDACTED}
    assert told["component"]["peft_adapters"] == [{"model": {"token": REDACTED}}]
    assert told["workflow"] == source["workflow"]
    assert without_blackened(told)["component"]["model"] == {"repository": "a/b"}
    for written in ("${env.HF_TOKEN}", "${ env.HF_TOKEN }"):
        assert without_tokens({"model": {"token": written}}) == {"model": {"token": written}}
    assert without_tokens({"model": {"token": "${env.HF_TOKEN | hf_abc}"}}) == {"model": {"token": REDACTED}}


def test_longer_secrets_are_blackened_before_those_they_contain() -> None:
    assert blacken({"a": ["abcdef abcd"]}, ("abcdef", "abcd")) == {"a": [f"{REDACTED} {REDACTED}"]}


def test_short_values_are_no_secrets(runtime: Runtime, models: Models) -> None:
    text = document(models.poet, text="${env.A} ${input.prompt}", max_output_length=1)
    run = load(text=text, env={"A": "on"}, runtime=runtime).run(prompt="money")
    assert run.record.generations[0].prompt == "on money"


def test_the_name_of_a_model_is_no_secret(runtime: Runtime, models: Models) -> None:
    text = json.dumps({"component": {"model": "${env.MODEL}", "text": "${env.WHO} ${input.prompt}"}})
    loaded = load(text=text, env={"MODEL": str(models.dice), "WHO": SECRET}, runtime=runtime)
    run = loaded.submit(prompt="a " * 200)
    assert run.wait(PATIENCE)
    assert run.error is not None
    assert str(models.dice) in run.error.message
