"""What a document may say and this version cannot run is refused before any model work, never ignored."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mcnb.errors import NotSupportedError
from mcnb.runtime import Runtime, load

COMPONENT: dict[str, Any] = {"id": "m", "model": "./nowhere", "text": "${input.prompt}"}

COMPONENTS: dict[str, dict[str, Any]] = {
    "'quantization: int8 with compute_dtype: float32'": {
        **COMPONENT,
        "quantization": {"type": "int8", "compute_dtype": "float32"},
    },
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


@pytest.mark.parametrize(
    ("driver", "asked"),
    [
        (driver, asked)
        for driver in ("llamacpp", "openai", "vllm")
        for asked in ({"quantization": "int8"}, {"precision": "float32"}, {"peft_adapters": [{"model": "./a"}]})
        if (driver, *asked) != ("vllm", "precision")
    ],
)
def test_what_another_engine_has_is_refused_by_name(runtime: Runtime, driver: str, asked: dict[str, Any]) -> None:
    options = {"options": {"base_url": "http://127.0.0.1:1/v1"}} if driver == "openai" else {}
    component = {**COMPONENT, "driver": driver, **options, **asked}
    with pytest.raises(NotSupportedError, match=f"is not supported with 'driver: {driver}'") as caught:
        load(text=json.dumps({"component": component}), runtime=runtime).submit(input={"prompt": "a"})
    assert next(iter(asked)) in caught.value.message
