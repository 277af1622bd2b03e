"""``quantization: int8``: a copy of its own, recorded, repeated; what else may be asked for is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import NotSupportedError
from mcnb.runtime import Runtime, load
from tests.support import tiny_models
from tests.support.runs import document


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return tiny_models.llama(tmp_path / "llama")


@pytest.mark.parametrize("asked", ["int8", {"type": "int8", "compute_dtype": "bfloat16"}])
def test_a_run_in_eight_bits_is_recorded_and_repeated(asked: Any, llama: Path, runtime: Runtime) -> None:
    compose = load(text=document(llama, quantization=asked, params={"max_output_length": 8}), runtime=runtime)
    run = compose.run(prompt="a")
    (made,) = run.record.generations
    assert made.dtype == "int8"
    assert "computes in bfloat16" in made.dtype_reason
    assert compose.repeat(run.record).output == run.output
    assert runtime.cache.loads == 1


def test_it_is_another_copy_than_the_whole_model(llama: Path, runtime: Runtime) -> None:
    load(text=document(llama, precision="bfloat16"), runtime=runtime).run(prompt="a")
    load(text=document(llama, quantization="int8"), runtime=runtime).run(prompt="a")
    assert runtime.cache.loads == 2
    assert sorted(one.dtype for one in runtime.cache.residents()) == ["bfloat16", "int8"]


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"quantization": "int4"}, "'quantization: int4'"),
        ({"quantization": "fp4"}, "'quantization: fp4'"),
        ({"quantization": "nf4"}, "'quantization: nf4'"),
        ({"quantization": {"type": "int8", "compute_dtype": "float32"}}, "with compute_dtype: float32'"),
        ({"quantization": {"type": "int8", "double_quant": True}}, "'quantization with double_quant'"),
        ({"quantization": "int8", "precision": "float32"}, "with precision: float32'"),
    ],
)
def test_what_else_may_be_asked_for_is_refused(keys: dict[str, Any], what: str, runtime: Runtime) -> None:
    text = json.dumps({"component": {"model": "./nowhere", "text": "${input.prompt}", **keys}})
    with pytest.raises(NotSupportedError) as caught:
        load(text=text, runtime=runtime).run(prompt="a")
    assert what in caught.value.message
    assert "int8" in str(caught.value.hint)
