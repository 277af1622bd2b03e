"""vLLM as the engine, as far as that can be seen without vLLM; with it, see ``test_vllm_engine.py``."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mcnb.errors import (
    InternalError,
    McnbError,
    ModelDamagedError,
    ModelError,
    OutOfMemoryError,
    RunCancelledError,
    ServerError,
    UnsupportedModelError,
)
from mcnb.models import cache as cache_module
from mcnb.models.cache import ModelCache
from mcnb.models.control import Control
from mcnb.models.drivers.vllm import DRIVER, devices, placement, process
from mcnb.models.drivers.vllm.refusals import did_not_start, root_cause
from mcnb.models.progress import Progress, no_report
from mcnb.models.spec import ModelSpec

from .scripted_engine import BEHAVIOUR
from .subjects import PATIENCE, Asked, Subject, ask, lending, local, spec_of

Found = Callable[..., Any]
Open = Callable[..., Subject]

LOG = """\
Loading safetensors checkpoint shards: 100% Completed | 1/1 [00:00<00:00,  4.51it/s]
(Worker pid=1503) INFO 11-28 08:00:50 [cpu_model_runner.py:91] Warming up done.
(Worker pid=1503) ERROR 11-28 08:01:43 [multiproc_executor.py:870] WorkerProc failed to start.
(Worker pid=1503) ERROR 11-28 08:01:43 [multiproc_executor.py:870] Traceback (most recent call last):
(Worker pid=1503) ERROR 11-28 08:01:43 [multiproc_executor.py:870] {error}
(EngineCore pid=1491) ERROR 11-28 08:01:43 [core.py:1510] EngineCore failed to start.
(EngineCore pid=1491) ERROR 11-28 08:01:43 [core.py:1510] RuntimeError: cancelled
RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}
"""
"""As vLLM 0.32 tells of a worker that did not start."""

TOLD = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", OutOfMemoryError),
        ("ValueError: No available memory for the cache blocks. Try increasing ...", OutOfMemoryError),
        (
            "ValueError: To serve at least one request with (512), (1 GiB KV cache is needed",
            OutOfMemoryError,
        ),
        (
            "ValueError: Free memory on device (1/80 GiB) on startup is less than desired GPU memory utilization",
            OutOfMemoryError,
        ),
        ("ValueError: Model architectures ['Nothing'] are not supported for now.", UnsupportedModelError),
        (
            "ValueError: Total number of attention heads (9) must be divisible by tensor parallel size (2).",
            UnsupportedModelError,
        ),
        ("ModuleNotFoundError: No module named 'torchvision'", UnsupportedModelError),
        ("safetensors_rust.SafetensorError: Error while deserializing header", ModelDamagedError),
        ("ValueError: something else", ModelError),
    ],
)
def test_what_it_says_at_its_start_is_told(error: str, kind: type[McnbError]) -> None:
    told = did_not_start("a/b", TOLD, LOG.format(error=error).splitlines())
    assert type(told) is kind
    assert error.split(": ", 1)[1].rstrip(".")[:60] in told.message
    assert told.message.startswith("a/b: vLLM did not start (")
    assert told.hint


def test_a_process_that_the_system_killed_is_told() -> None:
    line = (
        "(EngineCore pid=1) ERROR 11-28 08:01:43 [x.py:315] Worker proc VllmWorker-0 died unexpectedly (exit code: -9)"
    )
    assert "was killed" in root_cause(TOLD, [line, *LOG.format(error="RuntimeError: cancelled").splitlines()])
    assert isinstance(did_not_start("a/b", "", [], -9), OutOfMemoryError)


# --- where it runs ----------------------------------------------------------------------------------------------------


@pytest.fixture
def find(folders: Callable[[str], Path]) -> Found:
    """Find one of the tiny models for vLLM."""

    def one(name: str = "llama", *, device: str = "cpu", precision: str = "auto", **options: Any) -> Any:
        spec = replace(spec_of("vllm", local(folders(name)), **options), device=device, precision=precision)
        return DRIVER.find(spec, control=Control(), report=no_report, loaded=0)

    return one


def arguments(found: Any) -> dict[str, Any]:
    given: dict[str, Any] = found._placement.arguments(found._snapshot, found._placement.cache("a"))
    return given


def test_what_the_document_says_reaches_the_engine(find: Found) -> None:
    given = arguments(find(max_model_len=64, max_num_seqs=3, enforce_eager=False, precision="bfloat16"))
    assert (given["max_model_len"], given["max_num_seqs"], given["enforce_eager"]) == (64, 3, False)
    assert given["dtype"] == "bfloat16"
    assert given["trust_remote_code"] is False
    assert "gpu_memory_utilization" not in given


def test_on_a_cpu_a_bounded_part_of_the_memory_is_taken(find: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find(max_model_len=64)
    least = found._placement.least
    assert arguments(found)["kv_cache_memory_bytes"] == placement.CONTEXTS * least
    monkeypatch.setattr(placement, "free_memory", lambda device: 4 * least)
    assert arguments(found)["kv_cache_memory_bytes"] == 2 * least
    assert find(max_model_len=64).key == found.key  # how much is free makes no other model of it
    assert arguments(find(max_model_len=64, gpu_memory_utilization=0.75))["kv_cache_memory_bytes"] == 3 * least
    with pytest.raises(OutOfMemoryError, match=r"keys and values of 64 tokens.*max_model_len"):
        arguments(find(max_model_len=64, gpu_memory_utilization=0.1))


def test_a_model_that_does_not_fit_is_refused_with_the_sums(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_module, "free_memory", lambda device: 100_000)
    with pytest.raises(OutOfMemoryError, match=r"needs .* GB with vLLM \(1.75 GB for its .* cpu has 0.0 GB"):
        opened()


def test_other_settings_make_another_model(find: Found) -> None:
    keys = {
        find(**options).key for options in ({}, {"max_model_len": 32}, {"max_num_seqs": 1}, {"precision": "bfloat16"})
    }
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_model_len": 1_000_000}, r"trained for [\d,]+ tokens, and 'max_model_len' asks for 1,000,000"),
        ({"tensor_parallel_size": 999}, r"is 999, and this machine has \d+ CPU cores"),
        ({"pipeline_parallel_size": 2}, r"on CPUs vLLM computes no text with it"),
        ({"name": "t5"}, r"is an encoder-decoder model"),
        ({"device": "cuda:7"}, r"asks for device 'cuda:7', which this machine does not have"),
    ],
)
def test_what_cannot_be_is_refused_by_name(find: Found, options: dict[str, Any], said: str) -> None:
    with pytest.raises(UnsupportedModelError, match=said):
        find(**options)


def test_processes_share_the_cores(find: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cores", lambda: [0, 1, 2, 3])
    monkeypatch.delenv("VLLM_CPU_OMP_THREADS_BIND", raising=False)
    assert find()._placement.environment == {}
    parallel = find(tensor_parallel_size=2)
    assert parallel._placement.environment == {"VLLM_CPU_OMP_THREADS_BIND": "0,2|1,3"}
    assert parallel.needed() > find().needed()
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "0|1")
    assert find(tensor_parallel_size=2)._placement.environment == {}


@pytest.mark.parametrize(("visible", "seen"), [(None, "2,3"), ("4,5,6,7", "6,7")])
def test_gpus_are_those_from_the_named_one_on(
    find: Found, monkeypatch: pytest.MonkeyPatch, visible: str | None, seen: str
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    on_gpus = replace(find()._placement, device="cuda:2", tensor_parallel=2)
    assert on_gpus.environment == {"CUDA_VISIBLE_DEVICES": seen}


# --- the process that has the engine ----------------------------------------------------------------------------------


@pytest.fixture
def opened(folders: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, cache: ModelCache) -> Iterator[Open]:
    """Load the tiny model into an engine that does as it is told."""
    monkeypatch.setattr(process, "HOST", "tests.models.drivers.scripted_engine")
    with lending(cache) as lend:

        def one(behaviour: str = "", report: Any = no_report, **options: Any) -> Subject:
            monkeypatch.setenv(BEHAVIOUR, behaviour)
            spec = replace(spec_of("vllm", local(folders("llama")), **{"max_model_len": 64, **options}), device="cpu")
            return lend(spec, report)

        yield one


def engine_of(subject: Subject) -> Any:
    owner: Any = subject.owner
    return owner._process


def test_its_start_is_told_as_it_goes_on(opened: Open) -> None:
    told: list[Progress] = []
    said = opened(report=told.append).owner.description
    assert [(one.done, one.total, one.unit) for one in told][-1] == (2, 2, "weight files")
    assert (said.driver, said.version, said.threads, said.context_length) == ("vllm", "vllm 0.0", 2, 64)
    assert said.settings["max_num_seqs"] == 2


def test_nothing_that_it_says_is_written_here(opened: Open, capfd: pytest.CaptureFixture[str]) -> None:
    ask(opened()).result()
    assert capfd.readouterr() == ("", "")
    opened(verbose=True)
    assert "Loading safetensors" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("fail ValueError: Model architectures ['Nothing'] are not supported for now.", UnsupportedModelError),
        ("kill", OutOfMemoryError),
    ],
)
def test_an_engine_that_does_not_start_is_told(
    opened: Open, cache: ModelCache, behaviour: str, kind: type[McnbError]
) -> None:
    with pytest.raises(kind, match="vLLM"):
        opened(behaviour)
    assert cache.residents() == []


def test_a_build_for_another_device_is_refused(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    for platform, said in (("cuda", "computes on cuda"), ("", "finds no device")):
        monkeypatch.setenv("MCNB_TEST_PLATFORM", platform)
        with pytest.raises(UnsupportedModelError, match=f"run on cpu, and the vLLM that is installed {said}.*vllm-cpu"):
            opened()


def test_a_cancel_ends_a_start(
    folders: Callable[[str], Path], opened: Open, cache: ModelCache, monkeypatch: Any
) -> None:
    monkeypatch.setenv(BEHAVIOUR, "hang")
    loading = threading.Event()
    spec = ModelSpec(local(folders("llama")), Path(), driver="vllm", device="cpu")
    waiter = cache.acquire(spec, lambda progress: progress.total and loading.set())
    assert loading.wait(PATIENCE)
    waiter.leave()
    with pytest.raises(RunCancelledError):
        waiter.future.result(PATIENCE)
    assert cache.residents() == []


def under_way(subject: Subject, **user: Any) -> Asked:
    """Ask for a text, and wait for the beginning of it."""
    begun = threading.Event()
    asked = ask(subject, on_text=lambda text, tokens: begun.set(), **user)
    assert begun.wait(PATIENCE)
    return asked


def test_what_it_cannot_compute_at_once_waits_here(opened: Open) -> None:
    subject = opened("wait")
    running = [under_way(subject) for _ in range(2)]
    begun = threading.Event()
    last = ask(subject, on_text=lambda text, tokens: begun.set())
    assert subject.owner.waiting == 1
    for one in running:
        one.control.cancel()
        with pytest.raises(RunCancelledError):
            one.result()
        assert one.generation.result.finish_reasons == ["cancelled"]
        assert 0 < one.generation.result.output_tokens <= 3
    assert begun.wait(PATIENCE)
    last.control.cancel()
    with pytest.raises(RunCancelledError):
        last.result()


def test_an_engine_that_dies_is_told_and_the_next_run_has_another(opened: Open, cache: ModelCache) -> None:
    first = opened("die")
    asked = ask(first)
    with pytest.raises(ServerError, match=r"vLLM's engine has ended .*run it again"):
        asked.result()
    assert asked.generation.result.texts == ["".join(asked.pieces)]
    assert asked.generation.result.output_tokens == 1
    with pytest.raises(ServerError):
        ask(first).result()
    second = opened()
    assert second.owner is not first.owner
    assert ask(second).result().texts
    assert cache.loads == 2
    assert len(cache.residents()) == 1


def test_a_process_that_is_killed_is_told(opened: Open) -> None:
    subject = opened("wait")
    asked, waiting = under_way(subject, num_return_sequences=2, temperature=1.0), ask(subject)
    os.killpg(engine_of(subject).pid, signal.SIGKILL)
    for one in (asked, waiting):
        with pytest.raises(ServerError, match="ended with status -9"):
            one.result()


def test_a_text_that_cannot_be_computed_leaves_the_others(opened: Open) -> None:
    with pytest.raises(InternalError, match="ValueError: as planned"):
        ask(opened("refuse")).result()
    assert not opened("refuse").owner.ended


def test_a_long_folder_for_temporary_files_is_not_taken(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.tempfile, "tempdir", str(tmp_path / "whose-sockets-would-have-too-long-a-path"))
    engine = engine_of(opened())
    assert len(engine._folder) + 37 < 108


def test_unloading_ends_the_process(opened: Open, cache: ModelCache, folders: Callable[[str], Path]) -> None:
    spec = replace(spec_of("vllm", local(folders("llama")), max_model_len=32), device="cpu")
    lease = cache.lease(cache.acquire(spec, no_report).future.result(PATIENCE))
    assert lease is not None
    engine = engine_of(Subject(lease.owner, spec))
    folder = Path(engine._folder)
    assert folder.is_dir()
    lease.release()
    cache.unload()
    assert engine.ended
    assert not folder.exists()
