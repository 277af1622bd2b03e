"""Device and dtype: chosen by what the machine can do."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from mcnb.errors import UnsupportedModelError
from mcnb.models import hardware, memory
from mcnb.models.hardware import Placement, bfloat16_cost, choose
from mcnb.models.home import home
from mcnb.models.memory import free_memory

Machine = Callable[..., None]


@pytest.fixture(autouse=True)
def _measured_anew() -> Iterator[None]:
    bfloat16_cost.cache_clear()
    yield
    bfloat16_cost.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """Pretend to be another machine."""

    def pretend(
        *, cuda: int = 0, bfloat16: bool = True, mps: bool = False, cost: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: bfloat16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(hardware, "bfloat16_cost", lambda: cost)

    return pretend


@pytest.mark.parametrize(
    ("stored", "cost", "dtype", "why"),
    [
        ("float32", (0.5, 0.5), "float32", "as stored"),
        ("float16", (0.5, 0.5), "float32", "float16 is slow on a CPU"),
        ("bfloat16", (1.0, 1.0), "bfloat16", r"bfloat16 takes 1\.00 x float32 a token and 1\.00 x a prompt"),
        ("bfloat16", (1.25, 0.4), "bfloat16", r".* 1\.25 x"),
        ("bfloat16", (1.26, 0.4), "float32", r".* 1\.26 x"),
        ("bfloat16", (0.8, 1.01), "float32", r".* 1\.01 x"),
    ],
)
def test_dtypes_on_a_cpu(stored: str, cost: tuple[float, float], dtype: str, why: str, machine: Machine) -> None:
    machine(cost=cost)
    found = choose("auto", "auto", stored)
    assert (found.device, found.dtype) == ("cpu", dtype)
    assert re.match(why, found.reason)


def test_dtypes_on_a_gpu(machine: Machine) -> None:
    machine(cuda=1)
    for stored in ("float32", "float16", "bfloat16"):
        assert choose("auto", "auto", stored) == Placement("cuda:0", stored, "as stored")
    machine(cuda=1, bfloat16=False)
    assert choose("auto", "auto", "bfloat16") == Placement("cuda:0", "float16", "cuda has no bfloat16")
    machine(mps=True)
    assert choose("auto", "auto", "bfloat16") == Placement("mps", "bfloat16", "as stored")


@pytest.mark.parametrize("precision", ["float32", "float16", "bfloat16"])
def test_the_document_decides(precision: str, machine: Machine) -> None:
    machine(cuda=1, cost=(9, 9))
    for device, found in (("cpu", "cpu"), ("cuda", "cuda:0"), ("auto", "cuda:0")):
        assert choose(device, precision, "float32") == Placement(found, precision, "asked for by the document")


def test_devices(machine: Machine) -> None:
    machine(cuda=2, mps=True)
    for device, found in (("auto", "cuda:0"), ("cuda", "cuda:0"), ("cuda:1", "cuda:1"), ("mps", "mps"), ("cpu", "cpu")):
        assert choose(device, "float32", "float32").device == found
    for device in ("cuda:2", "cuda:17"):
        with pytest.raises(UnsupportedModelError, match=f"device '{device}', which this machine does not have"):
            choose(device, "auto", "float32")
    machine()
    for device in ("cuda", "cuda:0", "mps"):
        with pytest.raises(UnsupportedModelError, match="device: auto"):
            choose(device, "auto", "float32")
    assert choose("auto", "auto", "float32").device == "cpu"


@pytest.fixture
def ratios(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """What was measured: the number of rows each time. Every figure is 0.5."""
    seen: list[int] = []

    def ratio(library: object, *, rows: int, **_: object) -> float:
        seen.append(rows)
        return 0.5

    monkeypatch.setattr(hardware, "_ratio", ratio)
    return seen


def test_it_is_measured_once_and_kept(ratios: list[int]) -> None:
    assert bfloat16_cost() == (0.5, 0.5)
    assert len(ratios) == 2  # a decode step and a prompt
    assert bfloat16_cost() == (0.5, 0.5)
    bfloat16_cost.cache_clear()  # as in another process
    assert bfloat16_cost() == (0.5, 0.5)
    assert len(ratios) == 2  # a decode step and a prompt
    kept = json.loads((home() / "hardware.json").read_text())
    assert list(kept.values()) == [[0.5, 0.5]]


def test_what_was_measured_before_is_believed(ratios: list[int]) -> None:
    bfloat16_cost()
    path = home() / "hardware.json"
    kept = json.loads(path.read_text())
    path.write_text(json.dumps({**{key: [1.5, 2.5] for key in kept}, "another machine": [3, 4]}))
    bfloat16_cost.cache_clear()
    assert bfloat16_cost() == (1.5, 2.5)


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "3", '{"a": 1}', '{"a": [1]}', '{"a": ["x", "y"]}', '{"a": [1, 2, 3]}', "\xff"]
)
def test_a_damaged_file_counts_for_nothing(content: str, ratios: list[int]) -> None:
    path = home() / "hardware.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode("latin-1"))
    assert bfloat16_cost() == (0.5, 0.5)
    assert list(json.loads(path.read_text()).values()) == [[0.5, 0.5]]


def test_where_nothing_can_be_written(ratios: list[int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MCNB_HOME", str(tmp_path / "file" / "home"))
    assert bfloat16_cost() == (0.5, 0.5)


def test_the_measurement_itself() -> None:
    step, prompt = bfloat16_cost()
    assert 0.01 < step < 100
    assert 0.01 < prompt < 1000


def test_free_memory_of_a_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = free_memory()
    assert everything > 10**8
    monkeypatch.setattr(memory, "_CGROUP", tmp_path)
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 1\ninactive_file 200000\nactive_file 5\n")
    (tmp_path / "memory.max").write_text("1000000\n")
    assert free_memory() == 500_000
    for no_limit in ("max\n", "nonsense"):
        (tmp_path / "memory.max").write_text(no_limit)
        assert free_memory() > 10**8


def test_free_memory_of_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda number: (1000 + number, 5000))
    assert free_memory("cuda:1") == 1001
    assert free_memory("cuda") == 1000


def test_eight_bits_are_chosen_only_where_asked_for(machine: Machine) -> None:
    machine(cost=(0.5, 0.5))
    assert choose("auto", "auto", "bfloat16").computes_in == "bfloat16"
    found = choose("auto", "int8", "float32")
    assert (found.device, found.dtype, found.computes_in) == ("cpu", "int8", "bfloat16")
    machine(mps=True)
    with pytest.raises(UnsupportedModelError, match="int8"):
        choose("auto", "int8", "float32")
