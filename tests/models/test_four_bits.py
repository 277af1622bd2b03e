"""Weights in four bits: int4, nf4 and fp4."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from mcnb.errors import UnsupportedModelError
from mcnb.models.control import Control
from mcnb.models.engine.fitness import forward_for
from mcnb.models.engine.invariance import _revealing, _same
from mcnb.models.estimate import estimate
from mcnb.models.hardware import Placement
from mcnb.models.loaded import LoadedModel, release
from mcnb.models.loading import load
from mcnb.models.progress import no_report
from mcnb.models.quantizing import quantize
from mcnb.models.quantizing._compat import import_bitsandbytes
from mcnb.models.snapshot import Snapshot, check_snapshot

from .conftest import CAUSAL, ENCODER_DECODER
from .test_quantizing import matrix, nothing

Folders = Callable[[str], Path]

KINDS = ("int4", "nf4", "fp4")

WAYS: list[dict[str, Any]] = [
    *({"kind": kind, "computes_in": dtype} for kind in KINDS for dtype in ("bfloat16", "float32", "float16")),
    {"kind": "nf4", "double_quant": True},
    {"kind": "fp4", "double_quant": True, "computes_in": "float32"},
]

MOST_ERROR = {"int4": 0.09, "nf4": 0.11, "fp4": 0.15}
"""Of products with normal random numbers."""


@pytest.fixture
def putting_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a CPU on which bitsandbytes cannot multiply weights as they are."""
    import_bitsandbytes()
    monkeypatch.setattr("bitsandbytes.nn.modules.has_avx512bf16", lambda: False)


def small(way: dict[str, Any], *, bias: bool = True, rows: int = 96, columns: int = 128) -> tuple[Any, Any]:
    """Return a matrix as it was, and quantized."""
    holder = matrix(rows, columns, bias=bias)
    dtype = getattr(torch, way.get("computes_in", "bfloat16"))
    holder.to(dtype)
    whole = holder.inner
    options = {name: value for name, value in way.items() if name != "kind"}
    quantize(holder, "it", way["kind"], nothing, **options)
    return whole, holder.inner


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_matrix_says_about_the_same_in_four_bits(way: dict[str, Any], bias: bool) -> None:
    whole, inner = small(way, bias=bias)
    given = torch.randn(7, 128).to(whole.weight.dtype)
    with torch.inference_mode():
        before, after = whole(given), inner(given)
    assert after.dtype == before.dtype
    assert 0.02 < (after - before).float().norm() / before.float().norm() < MOST_ERROR[way["kind"]]
    held = sum(part.numel() * part.element_size() for part in [*inner.parameters(), *inner.buffers()])
    assert held <= 96 * 128 * 0.65 * (1.25 if whole.weight.dtype == torch.float32 else 1) + (96 * 4 if bias else 0)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_what_is_kept_exactly_comes_out_exactly(way: dict[str, Any]) -> None:
    """Of weights that are all the same, or none, nothing is lost."""
    holder = matrix(64, 64, bias=False).to(getattr(torch, way.get("computes_in", "bfloat16")))
    with torch.no_grad():
        holder.inner.weight[:] = 1
        holder.inner.weight[3] = 0
    given = torch.ones(2, 64, dtype=holder.inner.weight.dtype)
    quantize(holder, "it", way["kind"], nothing, **{key: value for key, value in way.items() if key != "kind"})
    with torch.inference_mode():
        found = holder.inner(given)
    assert found[:, :3].sub(64).abs().max() <= 0.5
    assert not found[:, 3].any()


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_row_comes_out_the_same_in_any_company(way: dict[str, Any]) -> None:
    _, inner = small(way)
    tile = 4 if way.get("computes_in") == "float32" and way["kind"] != "int4" else 2
    with torch.inference_mode():
        assert _same(inner, tile, 512)


@pytest.mark.parametrize("kind", KINDS)
def test_what_shows_the_order_cancels_out(kind: str) -> None:
    """The rows that are tried out would hide an order if what is to cancel were rounded apart."""
    _, inner = small({"kind": kind}, bias=False)
    revealing, given = _revealing(inner, 4)
    large = given.abs() > 50
    with torch.inference_mode():
        alone = revealing(torch.where(large, given, torch.zeros_like(given)))
    assert large.sum() > 100
    assert alone.abs().max() <= 0.01 * float(given.abs().max()), "the large ones leave little behind"


@pytest.mark.usefixtures("putting_together")
@pytest.mark.parametrize("kind", ["nf4", "fp4"])
def test_where_weights_are_put_together_for_each_product(kind: str, folders: Folders) -> None:
    whole, inner = small({"kind": kind, "double_quant": True})
    assert not inner.as_they_are
    given = torch.randn(7, 128).to(torch.bfloat16)
    with torch.inference_mode():
        assert (inner(given) - whole(given)).float().norm() / whole(given).float().norm() < MOST_ERROR[kind]
    loaded = load_as(folders("llama"), kind)
    assert "only after putting them together, which is slow" in loaded.placement.reason
    forward = forward_for(loaded)
    assert forward is not None
    assert not forward.one_at_a_time


def load_as(folder: Path, kind: str, computes_in: str | None = None, *, double_quant: bool = False) -> LoadedModel:
    snapshot = Snapshot(folder.name, "local", folder)
    check_snapshot(snapshot, allow_pickle=True)
    placement = Placement("cpu", kind, "asked for", computes_in, double_quant)
    return load(snapshot, placement, control=Control(), report=no_report)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [*CAUSAL, *ENCODER_DECODER])
def test_every_architecture_is_computed_in_four_bits(name: str, kind: str, folders: Folders) -> None:
    whole, less = load_as(folders(name), "bfloat16"), load_as(folders(name), kind)
    assert less.memory < load_as(folders(name), "int8").memory < whole.memory
    assert less.model.get_input_embeddings().weight.dtype == torch.bfloat16
    assert less.quantized is not None
    assert (less.quantized.left, less.quantized.kind) == (0, kind)
    words = torch.tensor([[5, 6, 7, 8, 9]])
    more = {"decoder_input_ids": words} if whole.is_encoder_decoder else {}
    with torch.inference_mode():
        before = whole.model(input_ids=words, **more).logits.float()
        after = less.model(input_ids=words, **more).logits.float()
    assert 0.01 < (after - before).norm() / before.norm() < 0.5  # random weights: real ones lose far less
    counted = next((one.weights for one in estimate(name, folders(name), 64) if one.dtype == kind), None)
    if counted is not None:
        assert less.memory <= counted <= less.memory * 1.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", CAUSAL)
def test_a_model_in_four_bits_is_computed_with_others(name: str, kind: str, folders: Folders) -> None:
    forward = forward_for(load_as(folders(name), kind))
    assert forward is not None
    assert not forward.one_at_a_time


def test_what_cannot_be_divided_is_left_and_told() -> None:
    holder = matrix(96, 128)
    holder.odd = torch.nn.Linear(80, 96, dtype=torch.bfloat16)
    found = quantize(holder, "it", "int4", nothing)
    assert (found.matrices, found.left) == (1, 1)
    assert type(holder.odd).__name__ == "Linear"
    assert found.notes() == ["1 of 2 matrices cannot be divided and stay bfloat16"]
    del holder.inner
    with pytest.raises(UnsupportedModelError, match="no matrices that can be kept as 'int4'"):
        quantize(holder, "it", "int4", nothing)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_looks_into_its_matrices_is_refused(
    kind: str, folders: Folders, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers.models.llama.modeling_llama import LlamaMLP

    def forward(self: Any, given: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.linear(self.act_fn(self.up_proj(given)), self.down_proj.weight)

    monkeypatch.setattr(LlamaMLP, "forward", forward)
    with pytest.raises(UnsupportedModelError, match="LlamaForCausalLM does something else with its matrices"):
        load_as(folders("llama"), kind)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_in_four_bits_leaves_memory_at_once(kind: str, folders: Folders) -> None:
    loaded = load_as(folders("llama"), kind)
    traces = [weakref.ref(part) for part in loaded.model.modules() if hasattr(part, "like")]
    assert len(traces) == 14
    held = loaded.memory
    gc.disable()
    try:
        release(loaded)
        assert held > 100_000
        assert not any(trace() for trace in traces), "nothing holds a matrix but the model"
    finally:
        gc.enable()


def test_bitsandbytes_gets_no_code_from_the_hub(tmp_path: Path) -> None:
    """On some CPUs it asks the package kernels, where there is one, to fetch a build; without, it writes a warning."""
    asked = tmp_path / "asked"
    (tmp_path / "kernels.py").write_text(f"open({str(asked)!r}, 'w').close()\ndef get_kernel(*_, **__): raise OSError")
    code = "from mcnb.models.quantizing._compat import import_bitsandbytes\nprint(import_bitsandbytes().__name__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("bitsandbytes\n", "")
    assert not asked.exists()
