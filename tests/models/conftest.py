"""Fixtures for the tests of the model layer."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mcnb.models.cache import ModelCache
from mcnb.models.drivers import huggingface
from mcnb.models.loaded import LoadedModel
from mcnb.models.sources import hub_client
from tests.support import tiny_models
from tests.support.hub import StandInHub

from .caching import SlowLoad
from .calls import load_folder

MAKERS: dict[str, Callable[..., Path]] = {
    "smollm3": tiny_models.smollm3,
    "gpt2_dialog": tiny_models.gpt2_dialog,
    "gpt_neo": tiny_models.gpt_neo,
    "codegen": tiny_models.codegen,
    "llama": tiny_models.llama,
    "blenderbot": tiny_models.blenderbot,
    "t5": tiny_models.t5,
}
"""One of each architecture."""

CAUSAL = ("smollm3", "gpt2_dialog", "gpt_neo", "codegen", "llama")
ENCODER_DECODER = ("blenderbot", "t5")


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Models of this size are slower with more threads, by far so when the machine is busy."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Folders of their own for mcnb and the hub's cache, and none of the user's settings."""
    for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    if "real_model" not in request.keywords:
        monkeypatch.setenv("MCNB_HOME", str(tmp_path / "mcnb-home"))


@pytest.fixture
def cache_folder(tmp_path: Path) -> Path:
    """The hub's cache folder of this test."""
    return tmp_path / "hub-cache"


@pytest.fixture
def endpoint(hub: StandInHub, monkeypatch: pytest.MonkeyPatch) -> StandInHub:
    """The stand-in Hub, as the one that mcnb asks, without pausing."""
    monkeypatch.setattr(hub_client, "PAUSE", 0)
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    return hub


Folders = Callable[[str], Path]
Loaded = Callable[[str], LoadedModel]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """Model folders by architecture; not to be changed."""
    root = tmp_path_factory.mktemp("architectures")

    def folder(name: str) -> Path:
        return root / name if (root / name).exists() else MAKERS[name](root / name)

    return folder


@pytest.fixture(scope="session")
def loaded(folders: Folders) -> Loaded:
    """Loaded models by architecture, in float32; not to be changed."""
    known: dict[str, LoadedModel] = {}

    def one(name: str) -> LoadedModel:
        if name not in known:
            known[name] = load_folder(folders(name))
        return known[name]

    return one


@pytest.fixture
def cache() -> Iterator[ModelCache]:
    """A cache of its own. Afterwards every model is unloaded and every thread has ended."""
    before = set(threading.enumerate())
    made = ModelCache()
    yield made
    made.unload()
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith("mcnb-"):
            thread.join(timeout=10)
            assert not thread.is_alive(), thread.name
    assert not made.loaded(), "a model is still leased"


@pytest.fixture
def llama(folders: Folders, tmp_path: Path) -> Path:
    """A folder of this test alone."""
    return Path(shutil.copytree(folders("llama"), tmp_path / "llama"))


@pytest.fixture
def neo(folders: Folders) -> Path:
    return folders("gpt_neo")


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[SlowLoad]:
    made = SlowLoad()
    monkeypatch.setattr(huggingface, "load", made)
    yield made
    made.gate.open()
