"""Weights in eight bits; what holds for all kinds of quantized weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mcnb.errors import UnsupportedModelError
from mcnb.models.engine.fitness import forward_for
from mcnb.models.hardware import choose
from mcnb.models.quantizing import KINDS, quantize

from .calls import Reports, load_folder
from .conftest import CAUSAL, ENCODER_DECODER

Folders = Callable[[str], Path]


def matrix(rows: int = 96, columns: int = 80, *, bias: bool = True) -> torch.nn.Module:
    """A module around one matrix, with an embedding beside it."""
    torch.manual_seed(0)

    class Holder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = torch.nn.Linear(columns, rows, bias=bias, dtype=torch.bfloat16)
            self.words = torch.nn.Embedding(4, columns, dtype=torch.bfloat16)

        def get_input_embeddings(self) -> torch.nn.Module:
            return self.words

        def get_output_embeddings(self) -> None:
            return None

    return Holder()


def nothing(done: int, total: int) -> None:
    """Hear no progress."""


@pytest.mark.parametrize("bias", [True, False])
def test_a_matrix_says_nearly_the_same_in_eight_bits(bias: bool) -> None:
    holder = matrix(bias=bias)
    given = torch.randn(7, 80).to(torch.bfloat16)
    with torch.inference_mode():
        before = holder.inner(given).float()
        quantize(holder, "it", "int8", nothing)
        after = holder.inner(given).float()
    assert holder.inner.weight.dtype == torch.int8
    error = (after - before).norm() / before.norm()
    assert 0 < error < 0.02


def test_a_row_comes_out_the_same_in_any_company() -> None:
    holder = matrix()
    quantize(holder, "it", "int8", nothing)
    given = torch.randn(512, 80).to(torch.bfloat16)
    with torch.inference_mode():
        together = holder.inner(given[None])[0]
        for size in (1, 2, 3, 4, 5, 7, 8, 13, 16, 33, 64, 100):
            assert torch.equal(holder.inner(given[:size]), together[:size]), size


def test_rows_of_zeros_stay_zeros() -> None:
    holder = matrix(bias=False)
    with torch.no_grad():
        holder.inner.weight[3] = 0
    quantize(holder, "it", "int8", nothing)
    with torch.inference_mode():
        found = holder.inner(torch.ones(2, 80, dtype=torch.bfloat16))
    assert torch.isfinite(found).all()
    assert not found[:, 3].any()


@pytest.mark.parametrize("name", [*CAUSAL, *ENCODER_DECODER])
def test_every_architecture_is_computed_in_eight_bits(name: str, folders: Folders) -> None:
    whole, small = load_folder(folders(name), "bfloat16"), load_folder(folders(name), "int8")
    assert small.memory < whole.memory
    assert small.model.get_input_embeddings().weight.dtype == torch.bfloat16
    words = torch.tensor([[5, 6, 7, 8, 9]])
    more = {"decoder_input_ids": words} if whole.is_encoder_decoder else {}
    with torch.inference_mode():
        before = whole.model(input_ids=words, **more).logits.float()
        after = small.model(input_ids=words, **more).logits.float()
    assert (after - before).norm() / before.norm() < 0.1


@pytest.mark.parametrize("name", CAUSAL)
def test_a_quantized_model_is_computed_with_others(name: str, folders: Folders) -> None:
    forward = forward_for(load_folder(folders(name), "int8"))
    assert forward is not None
    assert not forward.one_at_a_time


def test_progress_is_told(folders: Folders) -> None:
    reports = Reports()
    load_folder(folders("llama"), "int8", report=reports)
    last = [report for report in reports.of("load") if report.unit == "matrices quantized"][-1]
    assert last.done == last.total > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_matrices_is_refused(kind: str) -> None:
    holder = matrix()
    del holder.inner
    with pytest.raises(UnsupportedModelError, match="no matrices"):
        quantize(holder, "it", kind, nothing)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_experts_is_refused_by_name(kind: str) -> None:
    holder = matrix(rows=96, columns=64)
    holder.experts = torch.nn.Parameter(torch.zeros(8, 96, 64, dtype=torch.bfloat16))
    with pytest.raises(
        UnsupportedModelError, match=f"it: 'quantization: {kind}' would make 11% of its layers' weights"
    ):
        quantize(holder, "it", kind, nothing)
    assert type(holder.inner).__name__ == "Linear", "nothing was changed"


@pytest.mark.parametrize("kind", KINDS)
def test_other_devices_are_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(UnsupportedModelError, match=f"{kind}' is not supported on cuda:0 yet") as caught:
        choose("auto", kind, "bfloat16")
    assert "device: cpu" in str(caught.value.hint)
    assert choose("cpu", kind, "bfloat16").computes_in == "bfloat16"
