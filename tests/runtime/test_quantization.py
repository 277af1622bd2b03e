"""``quantization``: a copy of its own, recorded, repeated; what cannot be combined is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import NotSupportedError, UnsupportedModelError
from mcnb.runtime import Runtime, load
from mcnb.runtime.record import Record
from tests.support import tiny_models
from tests.support.runs import document

NF4_IN_FLOAT32 = {"type": "nf4", "compute_dtype": "float32", "double_quant": True}


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return tiny_models.llama(tmp_path / "llama")


@pytest.mark.parametrize(
    ("keys", "computes_in"),
    [
        ({"quantization": "int8"}, "bfloat16"),
        ({"quantization": {"type": "int8", "compute_dtype": "bfloat16"}}, "bfloat16"),
        ({"quantization": "int4"}, "bfloat16"),
        ({"quantization": "int4", "precision": "float16"}, "float16"),
        ({"quantization": "nf4"}, "bfloat16"),
        ({"quantization": NF4_IN_FLOAT32}, "float32"),
        ({"quantization": {"type": "fp4", "double_quant": True}, "precision": "bfloat16"}, "bfloat16"),
    ],
    ids=str,
)
def test_a_run_with_quantized_weights_is_recorded_and_repeated(
    keys: dict[str, Any], computes_in: str, llama: Path, runtime: Runtime
) -> None:
    compose = load(text=document(llama, params={"max_output_length": 8}, **keys), runtime=runtime)
    run = compose.run(prompt="a")
    (made,) = run.record.generations
    asked = keys["quantization"] if isinstance(keys["quantization"], dict) else {"type": keys["quantization"]}
    assert made.dtype == asked["type"]
    assert f"computes in {computes_in}" in made.dtype_reason
    assert made.batch_invariant
    kept = made.driver["quantization"]
    assert kept | {"type": asked["type"], "compute_dtype": computes_in, "matrices": 14, "left": 0} == kept
    assert kept["double_quant"] == asked.get("double_quant", False)
    assert kept["library"].split()[0] == ("torch" if made.dtype.startswith("int") else "bitsandbytes")
    again = compose.repeat(Record.from_dict(json.loads(json.dumps(run.record.to_dict()))))
    assert again.output == run.output
    assert again.record.generations[0].driver == made.driver
    assert runtime.cache.loads == 1


def test_each_way_is_another_copy(llama: Path, runtime: Runtime) -> None:
    ways: list[dict[str, Any]] = [
        {"precision": "bfloat16"},
        {"quantization": "int8"},
        {"quantization": "int4"},
        {"quantization": "nf4"},
        {"quantization": {"type": "nf4", "double_quant": True}},
        {"quantization": {"type": "nf4", "compute_dtype": "float32"}},
    ]
    for _ in range(2):
        for way in ways:
            load(text=document(llama, **way), runtime=runtime).run(prompt="a")
    assert runtime.cache.loads == len(ways)
    found = [one.dtype for one in runtime.cache.residents()]
    assert sorted(found) == ["bfloat16", "int4", "int8", "nf4", "nf4", "nf4"]


@pytest.mark.parametrize("kind", ["int8", "int4", "nf4", "fp4"])
def test_texts_are_the_same_alone_and_together(kind: str, llama: Path, runtime: Runtime) -> None:
    compose = load(text=document(llama, quantization=kind, params={"max_output_length": 12}), runtime=runtime)
    prompts = [f"{'word ' * number}and then" for number in range(1, 9)]
    alone = [compose.run(prompt=prompt, seed=number).output for number, prompt in enumerate(prompts)]
    runs = [compose.submit(prompt=prompt, seed=number) for number, prompt in enumerate(prompts)]
    assert [run.result() for run in runs] == alone
    assert all(made.batch_invariant for run in runs for made in run.record.generations)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"quantization": {"type": "int8", "compute_dtype": "float32"}}, "int8 with compute_dtype: float32'"),
        ({"quantization": {"type": "int8", "double_quant": True}}, "int8 with double_quant'"),
        ({"quantization": {"type": "int4", "double_quant": True}}, "int4 with double_quant'"),
        ({"quantization": "int8", "precision": "float32"}, "int8 with precision: float32'"),
        (
            {"quantization": NF4_IN_FLOAT32, "precision": "bfloat16"},
            "nf4 with compute_dtype: float32 and precision: bfloat16'",
        ),
    ],
)
def test_what_cannot_be_combined_is_refused(keys: dict[str, Any], what: str, runtime: Runtime) -> None:
    text = json.dumps({"component": {"model": "./nowhere", "text": "${input.prompt}", **keys}})
    with pytest.raises(NotSupportedError) as caught:
        load(text=text, runtime=runtime).run(prompt="a")
    assert what in caught.value.message
    assert "double_quant is a setting of nf4 and fp4" in str(caught.value.hint)


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_the_extra_is_named_where_it_is_missing(
    kind: str, llama: Path, runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(UnsupportedModelError, match=f"'quantization: {kind}' needs bitsandbytes") as caught:
        load(text=document(llama, quantization=kind), runtime=runtime).run(prompt="a")
    assert "pip install 'mcnb[quantization]'" in str(caught.value.hint)
    load(text=document(llama, quantization="int4"), runtime=runtime).run(prompt="a")
