"""Fixtures for the tests of the examples."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import StandInHub
from tests.support.runs import home, runtime  # noqa: F401


@pytest.fixture(scope="session")
def seed_zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models the guide names, under their own names, tiny and talkative for some tens of tokens only."""
    from tests.support import tiny_models

    root = tmp_path_factory.mktemp("seed-zoo")
    tiny_models.smollm3(root / "HuggingFaceTB" / "SmolLM3-3B", eos_bias=5)
    tiny_models.gpt2_dialog(root / "microsoft" / "DialoGPT-small", "both", eos_bias=5)
    tiny_models.gpt2_dialog(root / "microsoft" / "DialoGPT-large", "bin", eos_bias=5)
    tiny_models.gpt_neo(root / "EleutherAI" / "gpt-neo-1.3B", "both", eos_bias=5)
    tiny_models.gpt_neo(root / "EleutherAI" / "gpt-neo-2.7B", eos_bias=5)
    tiny_models.codegen(root / "Salesforce" / "codegen-350M-mono", eos_bias=5)
    tiny_models.blenderbot(root / "facebook" / "blenderbot-400M-distill")
    return root


@pytest.fixture
def seed_hub(seed_zoo: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInHub]:  # noqa: F811
    """A stand-in for the hub that serves them."""
    import huggingface_hub

    with StandInHub(seed_zoo) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running
    huggingface_hub.close_session()
