"""Estimates against the real thing."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from mcnb.compose.schema import LocalSource
from mcnb.errors import ModelDamagedError, UnsafeModelError, UnsupportedModelError
from mcnb.models import estimate as estimating
from mcnb.models import packing
from mcnb.models.engine.slabs import ROOMS
from mcnb.models.estimate import FIXED_OVERHEAD, OFFERED, config_folder, estimate
from mcnb.models.packing import packed_bytes
from mcnb.models.sizes import cache_values, sizes_of
from mcnb.models.snapshot import Snapshot
from tests.support.hub import StandInHub
from tests.support.tiny_models import broken

from .calls import from_hub, load_folder
from .conftest import MAKERS, Folders, Loaded


@pytest.fixture(params=[True, False], ids=["packed", "plain"])
def packs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Whether this machine multiplies packed matrices faster."""
    packed = bool(request.param)
    monkeypatch.setattr(packing, "gains", lambda dtype: packed)
    monkeypatch.setattr(estimating, "gains", lambda dtype: packed)
    return packed


@pytest.mark.parametrize("name", MAKERS)
def test_weights_are_counted_exactly(name: str, folders: Folders, packs: bool) -> None:
    model = load_folder(folders(name))
    if packs and not packed_bytes(model.model):
        pytest.skip("torch has no packed matrices here")
    found = {one.dtype: one for one in estimate(name, folders(name), 64)}
    assert tuple(found) == OFFERED
    assert found["float32"].weights == model.memory
    if not packs:
        count = sum(parameter.numel() for parameter in model.model.parameters())
        buffers = sum(buffer.nbytes for buffer in model.model.buffers())
        assert {one.parameters for one in found.values()} == {count}
        assert found["bfloat16"].weights == count * 2 + buffers
    for one in found.values():
        assert one.total == one.weights + one.cache + one.activations + FIXED_OVERHEAD
        assert one.peak >= one.total


@pytest.mark.parametrize("name", MAKERS)
def test_matrices_of_int8_take_one_byte_each(name: str, folders: Folders) -> None:
    _, half, small, *smaller = estimate(name, folders(name), 64)
    assert [one.dtype for one in (half, small, *smaller)] == ["bfloat16", "int8", "int4", "nf4"]
    assert half.weights / 2 < small.weights < half.weights
    assert small.cache == half.cache
    assert smaller[1].weights < smaller[0].weights < small.weights


def test_what_cannot_be_divided_counts_as_it_is(folders: Folders, tmp_path: Path) -> None:
    config = json.loads((folders("llama") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"intermediate_size": 80}))
    sizes = sizes_of(Snapshot("llama", "local", tmp_path))
    odd = config["num_hidden_layers"] * 3 * 80 * config["hidden_size"]
    assert sizes.uneven == odd
    found = {one.dtype: one.weights for one in estimate("llama", tmp_path)}
    assert found["bfloat16"] - found["int4"] == (sizes.matrices - odd) * (2 - 0.5 - 4 / 32)


def test_a_gpu_is_offered_what_it_can_do(folders: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimating, "choose_device", lambda device: "cuda:0")
    assert [one.dtype for one in estimate("llama", folders("llama"))] == ["float32", "bfloat16"]


def test_every_row_has_keys_and_values_of_its_own(folders: Folders) -> None:
    one, many = (estimate("llama", folders("llama"), 100, rows)[0] for rows in (1, 7))
    assert many.cache == 7 * one.cache
    assert many.weights == one.weights
    assert many.activations > one.activations


def test_files_that_are_converted_or_packed_count_while_they_are(folders: Folders, packs: bool) -> None:
    same, converted, *_ = estimate("llama", folders("llama"))
    size = (folders("llama") / "model.safetensors").stat().st_size
    assert same.source == (size if packs else 0)
    assert converted.source == size


@pytest.mark.parametrize("name", MAKERS)
def test_the_cache_is_counted_exactly(name: str, loaded: Loaded, folders: Folders) -> None:
    model = loaded(name)
    length = ROOMS[0]
    ids = torch.arange(5, 5 + length)[None]
    more = {"decoder_input_ids": ids} if model.is_encoder_decoder else {}
    with torch.inference_mode():
        past = model.model(ids, use_cache=True, **more).past_key_values
    parts = [past.self_attention_cache, past.cross_attention_cache] if model.is_encoder_decoder else [past]
    values = sum(layer.keys.numel() + layer.values.numel() for part in parts for layer in part.layers)
    assert cache_values(model.model.config) * length == values
    assert estimate(name, folders(name), length)[0].cache == values * 4
    assert estimate(name, folders(name), length, 3)[0].cache == values * 4 * (1 if model.is_encoder_decoder else 3)
    shorter = values * 4 * 12 // length if model.is_encoder_decoder else values * 4
    assert estimate(name, folders(name), 12)[0].cache == shorter, "a slab has room for more"


@pytest.mark.parametrize(
    ("name", "asked", "counted"),
    [
        ("gpt_neo", None, 2048),
        ("gpt_neo", 100, 100),
        ("gpt_neo", 9999, 2048),
        ("smollm3", None, 4096),
        ("t5", None, 4096),
    ],
)
def test_how_many_tokens_are_counted(name: str, asked: int | None, counted: int, folders: Folders) -> None:
    assert {item.context for item in estimate(name, folders(name), asked)} == {counted}


def test_the_config_is_enough(folders: Folders, tmp_path: Path) -> None:
    shutil.copy(folders("smollm3") / "config.json", tmp_path)
    whole = [replace(one, source=0) for one in estimate("smollm3", folders("smollm3"))]
    assert estimate("smollm3", tmp_path) == whole


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"model_type": "mystery"}, UnsupportedModelError),
        ({"model_type": "vit"}, UnsupportedModelError),
        ({"hidden_size": "many"}, ModelDamagedError),
    ],
)
def test_a_config_that_is_no_use(
    change: dict[str, Any], error: type[Exception], folders: Folders, tmp_path: Path
) -> None:
    config = json.loads((folders("llama") / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change, "architectures": None}))
    with pytest.raises(error):
        estimate("llama", tmp_path)
    broken(tmp_path, "remote_code")
    with pytest.raises(UnsafeModelError):
        estimate("llama", tmp_path)
    (tmp_path / "config.json").unlink()
    with pytest.raises(ModelDamagedError, match=r"config\.json is missing"):
        estimate("llama", tmp_path)


def test_of_the_hub_the_config_alone_is_fetched(endpoint: StandInHub, tmp_path: Path) -> None:
    folder = config_folder(from_hub("HuggingFaceTB/SmolLM3-3B"), tmp_path)
    assert {path.name for path in folder.iterdir()} == {"config.json"}
    assert estimate("SmolLM3", folder)[0].parameters > 100_000


def test_of_a_local_folder_nothing_is_copied(folders: Folders) -> None:
    folder = folders("gpt_neo")
    assert config_folder(LocalSource(path=str(folder)), Path()) == folder
