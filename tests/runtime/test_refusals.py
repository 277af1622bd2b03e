"""What a document may say and this version cannot run is refused before any model work, never ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcnb.errors import NotSupportedError
from mcnb.runtime import Runtime, load

COMPONENT: dict[str, Any] = {"id": "m", "model": "./nowhere", "text": "${input.prompt}"}
CALL = {"id": "call", "component": "m", "input": {"prompt": "a"}}

JOBS: dict[str, list[dict[str, Any]]] = {
    "'for-each'": [{"id": "j", "type": "for-each", "input": [1], "do": {"component": "m", "input": {"prompt": "a"}}}],
    "'if'": [{"id": "j", "type": "if", "conditions": [{"input": 1, "value": 1, "if_true": "call"}]}, CALL],
    "'switch'": [{"id": "j", "type": "switch", "cases": [{"value": 1, "then": "call"}]}, CALL],
    "'random-router'": [{"id": "j", "type": "random-router", "routings": [{"to": "call"}]}, CALL],
    "'filter'": [{"id": "j", "type": "filter", "input": [1], "where": {"input": 1, "value": 1}}],
    "'delay'": [{"id": "j", "type": "delay", "duration": "1s"}],
    "'retry'": [{**CALL, "retry": 2}],
    "'on_error'": [{**CALL, "on_error": "ignore"}],
    "any-of": [CALL, {**CALL, "id": "other", "depends_on": [["call"]]}],
}

COMPONENTS: dict[str, dict[str, Any]] = {
    "'driver: llamacpp'": {**COMPONENT, "driver": "llamacpp"},
    "'driver: vllm'": {**COMPONENT, "driver": "vllm"},
    "'quantization'": {**COMPONENT, "quantization": "int8"},
    "'peft_adapters'": {**COMPONENT, "peft_adapters": [{"model": "./adapter"}]},
}


@pytest.mark.parametrize("what", JOBS)
def test_jobs(runtime: Runtime, what: str) -> None:
    refused(runtime, {"workflow": {"jobs": JOBS[what]}, "components": [COMPONENT]}, what)


@pytest.mark.parametrize("what", COMPONENTS)
def test_components(runtime: Runtime, what: str) -> None:
    refused(runtime, {"component": COMPONENTS[what]}, what)


def refused(runtime: Runtime, document: dict[str, Any], what: str) -> None:
    loaded = load(text=json.dumps(document), runtime=runtime)
    values = dict.fromkeys(loaded.inputs().names, "a")
    with pytest.raises(NotSupportedError) as caught:
        loaded.submit(input=values)
    assert what in caught.value.message
    assert "is not supported yet" in caught.value.message
    assert caught.value.code == "not_supported"
    assert runtime.runs == ()
    assert runtime.cache.loads == 0


def test_what_cannot_run_is_not_preloaded_either(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(runtime.cache, "acquire", lambda spec, report: asked.append(spec))
    for component in COMPONENTS.values():
        load(text=json.dumps({"component": {**component, "preload": True}}), runtime=runtime)
    assert asked == []
    inline = {"workflow": {"component": {**COMPONENT, "preload": True}}, "component": {**COMPONENT, "preload": True}}
    load(text=json.dumps(inline), runtime=runtime)
    assert len(asked) == 2
