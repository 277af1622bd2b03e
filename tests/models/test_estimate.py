"""Estimates against the real thing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from mcnb.compose.schema import LocalSource
from mcnb.errors import ModelDamagedError, UnsafeModelError, UnsupportedModelError
from mcnb.models.estimate import FIXED_OVERHEAD, cache_values, config_folder, estimate
from tests.support.hub import StandInHub
from tests.support.tiny_models import broken

from .calls import from_hub
from .conftest import MAKERS, Folders, Loaded


@pytest.mark.parametrize("name", MAKERS)
def test_weights_are_counted_exactly(name: str, loaded: Loaded, folders: Folders) -> None:
    model = loaded(name)
    count = sum(parameter.numel() for parameter in model.model.parameters())
    for found, width in zip(estimate(name, folders(name), 64), (4, 2), strict=True):
        assert found.parameters == count
        assert found.weights == count * width
        assert found.total == found.weights + found.cache + FIXED_OVERHEAD
    buffers = sum(buffer.nbytes for buffer in model.model.buffers())
    assert found.dtype == "bfloat16"
    assert model.memory <= count * 4 + buffers


@pytest.mark.parametrize("name", MAKERS)
def test_the_cache_is_counted_exactly(name: str, loaded: Loaded, folders: Folders) -> None:
    model = loaded(name)
    length = 12
    ids = torch.arange(5, 5 + length)[None]
    more = {"decoder_input_ids": ids} if model.is_encoder_decoder else {}
    with torch.inference_mode():
        past = model.model(ids, use_cache=True, **more).past_key_values
    parts = [past.self_attention_cache, past.cross_attention_cache] if model.is_encoder_decoder else [past]
    values = sum(layer.keys.numel() + layer.values.numel() for part in parts for layer in part.layers)
    assert cache_values(model.model.config) * length == values
    assert estimate(name, folders(name), length)[0].cache == values * 4


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
    assert estimate("smollm3", tmp_path) == estimate("smollm3", folders("smollm3"))


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
