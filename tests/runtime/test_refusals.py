"""What a document may say and this version cannot run is refused before any model work, never ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcnb.errors import NotSupportedError
from mcnb.runtime import Runtime, load

COMPONENT: dict[str, Any] = {"id": "m", "model": "./nowhere", "text": "${input.prompt}"}

COMPONENTS: dict[str, dict[str, Any]] = {
    "'driver: llamacpp'": {**COMPONENT, "driver": "llamacpp"},
    "'driver: vllm'": {**COMPONENT, "driver": "vllm"},
    "'quantization: int4'": {**COMPONENT, "quantization": "int4"},
    "'peft_adapters'": {**COMPONENT, "peft_adapters": [{"model": "./adapter"}]},
}


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
