"""Fixtures for the tests of the notebooks."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with random weights and a chat template, which hardly ever stops by itself."""
    from tests.support.tiny_models import llama

    return llama(tmp_path_factory.mktemp("models") / "tiny-llama", context=2048, chat=True)


@pytest.fixture(scope="session")
def tiny_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """mcnb's folder for the tiny model: what it finds out about this machine is found out once."""
    return tmp_path_factory.mktemp("mcnb-home")


@pytest.fixture
def only_here(tiny_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that reach no index and no hub, so that a notebook runs on the model that it is given and on no other."""
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HOME"):
        monkeypatch.delenv(name, raising=False)
    settings = {
        "MCNB_HOME": str(tiny_home),
        "HF_HUB_CACHE": str(tiny_home / "hub"),
        "HF_HUB_OFFLINE": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": "",
        "OMP_NUM_THREADS": "1",  # models of this size are slower with more
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
