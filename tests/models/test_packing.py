"""Packed matrices: what they say, where they stand, and who does without them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mcnb.errors import RunCancelledError
from mcnb.models import packing
from mcnb.models.control import Control
from mcnb.models.home import home
from mcnb.models.matrices import places, replace, weight_of
from mcnb.models.packing import gains, matrix, pack, packed_bytes

from .calls import Reports, load_folder, say
from .conftest import CAUSAL, ENCODER_DECODER, Folders

DTYPES = [torch.float32, torch.bfloat16]

Pretend = Callable[[bool], None]


def nothing(done: int, total: int) -> None:
    """Hear no progress."""


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> Iterator[Pretend]:
    """Say whether packed matrices are faster here."""

    def say_so(faster: bool) -> None:
        monkeypatch.setattr(packing, "gains", lambda dtype: faster and dtype in packing.DTYPES)

    yield say_so
    gains.cache_clear()


def has_onednn() -> bool:
    try:
        matrix(torch.ones(16, 16), packed=True)(torch.ones(1, 16))
    except (RuntimeError, AttributeError, NotImplementedError):
        return False
    return True


onednn = pytest.mark.skipif(not has_onednn(), reason="torch has no packed matrices here")


@onednn
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(96, 80), (1, 7), (33, 1), (257, 129)])
def test_a_packed_matrix_multiplies_as_a_plain_one(dtype: Any, bias: bool, shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    weight, offset = torch.randn(shape).to(dtype), torch.randn(shape[0]).to(dtype) if bias else None
    plain, packed = (matrix(weight, offset, packed=one) for one in (False, True))
    near = {"atol": 0.5, "rtol": 0.05} if dtype == torch.bfloat16 else {"atol": 1e-4, "rtol": 1e-4}
    with torch.inference_mode():
        for given in (
            torch.randn(shape[1]),
            torch.randn(1, shape[1]),
            torch.randn(2, 5, shape[1]),
            torch.randn(0, shape[1]),
            torch.randn(shape[1], 6).t(),
            torch.randn(3, 4, 2, shape[1])[:, ::2],
        ):
            found = packed(given.to(dtype))
            assert found.shape == plain(given.to(dtype)).shape
            assert found.dtype == dtype
            assert torch.allclose(found, plain(given.to(dtype)), **near)
    assert torch.equal(packed.plain().weight, weight)
    assert packed.weight.shape == shape
    assert packed.nbytes == weight.nbytes


class Holder(torch.nn.Module):
    """Matrices in several places, two of which are one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = torch.nn.Linear(8, 8)
        self.inner = torch.nn.ModuleList([torch.nn.Linear(8, 4), torch.nn.LayerNorm(8)])
        self.again = torch.nn.ModuleList([self.first])
        self.words = torch.nn.Embedding(8, 8)


def test_matrices_are_found_where_they_stand() -> None:
    holder = Holder()
    found = list(places(holder))
    assert [attribute for _, attribute in found] == ["first", "0", "0"]
    assert not list(places(holder, ("PackedLinear",)))
    kept = [attribute for _, attribute in places(holder, but=[id(holder.first.weight)])]
    assert kept == ["0"]


def test_one_that_stands_in_two_places_stays_one() -> None:
    holder, told = Holder(), []
    replace(
        list(places(holder)),
        lambda module: matrix(weight_of(module), module.bias, packed=False),
        lambda done, total: told.append((done, total)),
    )
    assert holder.first is holder.again[0]
    assert told == [(0, 3), (1, 3), (2, 3), (3, 3)]


@onednn
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", [*CAUSAL, *ENCODER_DECODER])
def test_every_architecture_says_the_same(name: str, dtype: str, folders: Folders, pretend: Pretend) -> None:
    pretend(False)
    plain = load_folder(folders(name), dtype)
    pretend(True)
    packed = load_folder(folders(name), dtype)
    assert packed_bytes(plain.model) == 0
    assert not list(places(packed.model))
    head = packed.model.get_output_embeddings()
    assert type(head).__name__ == "PackedLinear"
    tied = plain.model.get_output_embeddings().weight is plain.model.get_input_embeddings().weight
    assert packed.memory == plain.memory + (head.nbytes if tied else 0)
    words = torch.tensor([[5, 6, 7, 8, 9]])
    more = {"decoder_input_ids": words} if plain.is_encoder_decoder else {}
    with torch.inference_mode():
        before = plain.model(input_ids=words, **more).logits.float()
        after = packed.model(input_ids=words, **more).logits.float()
    near = 0.1 if dtype == "bfloat16" else 1e-3
    assert torch.allclose(before, after, atol=near, rtol=near)
    if dtype == "float32":
        assert say(packed, "Once upon").result.texts == say(plain, "Once upon").result.texts


@onednn
def test_the_files_are_let_go(folders: Folders, pretend: Pretend, tmp_path: Path) -> None:
    """A model whose file changes while it is in memory stays what it was."""
    import shutil

    pretend(True)
    folder = tmp_path / "model"
    shutil.copytree(folders("llama"), folder)
    loaded = load_folder(folder, "float32")
    before = say(loaded, "Once upon").result.texts
    file = folder / "model.safetensors"
    size = file.stat().st_size
    with file.open("r+b") as stream:
        stream.seek(size // 4)
        stream.write(b"\xff" * (size // 2))
    assert say(loaded, "Once upon").result.texts == before
    mapped = Path("/proc/self/maps")
    if mapped.exists():
        assert str(file) not in mapped.read_text()


@onednn
def test_an_architecture_that_needs_plain_weights_keeps_them(
    folders: Folders, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is found out at the first load, and known at the next."""
    monkeypatch.setenv("MCNB_HOME", str(tmp_path))
    pretend(True)
    from transformers import LlamaForCausalLM

    own = LlamaForCausalLM.forward

    def forward(self: Any, *arguments: Any, **options: Any) -> Any:
        self.model.layers[0].mlp.up_proj.weight.data_ptr()  # as one does that multiplies on its own
        return own(self, *arguments, **options)

    monkeypatch.setattr(LlamaForCausalLM, "forward", forward)
    for _ in range(2):
        loaded = load_folder(folders("llama"), "float32")
        assert packed_bytes(loaded.model) == 0
        assert len(list(places(loaded.model))) > 1
        assert say(loaded, "Once upon").result.texts
    kept = json.loads((tmp_path / "architectures.json").read_text())
    assert [numbers for key, numbers in kept.items() if "LlamaForCausalLM" in key] == [[0.0]]


@onednn
def test_an_architecture_that_says_something_else_keeps_its_weights(
    folders: Folders, pretend: Pretend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MCNB_HOME", str(tmp_path))
    pretend(True)
    found = iter([torch.tensor([0.2, 0.8]), torch.tensor([0.3, 0.7])])
    monkeypatch.setattr(packing, "probabilities", lambda model: next(found))
    loaded = load_folder(folders("llama"), "float32")
    assert packed_bytes(loaded.model) == 0


def test_where_nothing_is_gained_nothing_is_packed(pretend: Pretend) -> None:
    pretend(False)
    assert not pack(Holder(), "float32", "holder", nothing)


def test_what_is_gained_is_measured_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MCNB_HOME", str(tmp_path))
    measured: list[str] = []

    def measure(dtype: str) -> tuple[float, float]:
        measured.append(dtype)
        return (0.5, 0.6) if dtype == "bfloat16" else (0.5, 0.95)

    monkeypatch.setattr(packing, "_measured", measure)
    for _ in range(2):
        gains.cache_clear()
        assert gains("bfloat16")
        assert not gains("float32")
        assert not gains("float16")
    gains.cache_clear()
    assert measured == ["bfloat16", "float32"]
    assert len(json.loads((home() / "packing.json").read_text())) == 2


def test_without_onednn_nothing_is_gained(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> Any:
        raise RuntimeError("built without it")

    monkeypatch.setattr(packing, "_packed_linear", lambda: refuse)
    assert min(packing._measured("float32")) > packing.GAIN


@onednn
def test_packing_is_told_and_can_be_cancelled(
    folders: Folders, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend(True)
    reports, control = Reports(), Control()
    load_folder(folders("llama"), "float32", report=reports)
    last = reports.of("load")[-1]
    assert last.unit == "matrices packed"
    assert last.done == last.total > 0

    made: list[Any] = []

    def counted(weight: Any, bias: Any) -> Any:
        made.append(weight)
        control.cancel()
        return torch.nn.Identity()

    monkeypatch.setattr(packing, "_packed_linear", lambda: counted)
    with pytest.raises(RunCancelledError):
        load_folder(folders("llama"), "float32", control=control)
    assert len(made) == 1
