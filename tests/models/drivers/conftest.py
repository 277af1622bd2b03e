"""Every driver with a model: transformers with a tiny one, llama.cpp, its server and vLLM with real weights."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from mcnb.models.cache import ModelCache
from mcnb.models.home import home
from mcnb.models.progress import no_report
from mcnb.models.sources import fetch, fetch_gguf

from .subjects import ALIAS, CONTEXT, NO_VLLM, SMOL, Subject, llama_server, local, spec_of

DRIVERS = (
    "huggingface",
    pytest.param("llamacpp", marks=pytest.mark.real_model),
    pytest.param("openai", marks=pytest.mark.real_model),
    pytest.param("vllm", marks=[pytest.mark.real_model, pytest.mark.skipif(find_spec("vllm") is None, reason=NO_VLLM)]),
)


@pytest.fixture(scope="session")
def smol_file() -> Path:
    """The GGUF file of SmolLM2, kept between runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MCNB_HOME", str(os.environ.get("MCNB_TEST_HOME") or home()))
        return fetch_gguf(SMOL, Path()).path


@pytest.fixture(scope="session")
def smol_folder() -> Path:
    """SmolLM2 as safetensors, kept between runs."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("MCNB_HOME", str(os.environ.get("MCNB_TEST_HOME") or home()))
        return fetch(SMOL, Path()).folder


@pytest.fixture(scope="session")
def base_url(smol_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real server with SmolLM2."""
    with llama_server(smol_file, tmp_path_factory.mktemp("server") / "log.txt") as url:
        yield url


@pytest.fixture(scope="package", params=DRIVERS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """A driver with a model that is ready."""
    driver = request.param
    if driver == "huggingface":
        spec = spec_of(driver, local(request.getfixturevalue("folders")("llama")))
    elif driver == "vllm":
        spec = spec_of(driver, local(request.getfixturevalue("smol_folder")), max_model_len=CONTEXT)
    elif driver == "llamacpp":
        spec = spec_of(driver, local(request.getfixturevalue("smol_file")), n_ctx=CONTEXT, n_batch=64, n_threads=1)
    else:
        url = request.getfixturevalue("base_url")
        spec = spec_of(driver, SMOL, base_url=url, api_key="right-key", model=ALIAS)
    cache = ModelCache()
    lease = cache.lease(cache.acquire(spec, no_report).future.result(280))
    assert lease is not None
    yield Subject(lease.owner, spec)
    lease.release()
    cache.unload()
