"""The default engine: transformers' models in this process, computed together by ``mcnb.models.engine``."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property, lru_cache
from typing import Any

from mcnb.collecting import paused
from mcnb.errors import OutOfMemoryError
from mcnb.models.control import Control
from mcnb.models.estimate import Estimate
from mcnb.models.hardware import Placement, choose
from mcnb.models.loading import load, stored_dtype
from mcnb.models.owner import ModelOwner
from mcnb.models.peft_adapters import Adapter, add_adapters, find_adapters
from mcnb.models.progress import Report
from mcnb.models.room import check_before_download, needed_to_load, refusal
from mcnb.models.snapshot import Snapshot
from mcnb.models.sources import fetch
from mcnb.models.spec import ModelSpec


@lru_cache(maxsize=64)
def _dtype(snapshot: Snapshot, state: Hashable) -> str:
    """Look once for each state of the files: every run asks."""
    return stored_dtype(snapshot)


class HuggingFaceModel:
    """A model's files and where they would be loaded."""

    def __init__(self, snapshot: Snapshot, placement: Placement, adapters: tuple[Adapter, ...] = ()) -> None:
        self.snapshot = snapshot
        self.placement = placement
        self.adapters = adapters

    @property
    def key(self) -> Hashable:
        """See ``Found``."""
        adapters = tuple((one.sha256, one.weight) for one in self.adapters)
        place = self.placement
        how = (place.device, place.dtype, place.computes_in, place.double_quant)
        return (self.snapshot.identity, *how, adapters)

    @property
    def device(self) -> str:
        """See ``Found``."""
        return self.placement.device

    @property
    def size(self) -> int:
        """See ``Found``."""
        return self.snapshot.size

    @cached_property
    def _wanted(self) -> list[Estimate]:
        return needed_to_load(self.snapshot, self.placement)

    def needed(self) -> int:
        """See ``Found``."""
        return self._wanted[0].needed

    def refusal(self, free: int) -> OutOfMemoryError:
        """See ``Found``."""
        return refusal(self._wanted, self.placement.device, free)

    def load(self, control: Control, report: Report) -> ModelOwner:
        """See ``Found``."""
        snapshot, placement, adapters = self.snapshot, self.placement, self.adapters

        def adapt(model: Any) -> Any:
            return add_adapters(model, snapshot.name, adapters, control)

        loaded = load(snapshot, placement, control=control, report=report, adapt=adapt if adapters else None)
        settings: dict[str, Any] = {"adapters": [one.to_dict() for one in adapters]} if adapters else {}
        if loaded.quantized is not None:
            settings["quantization"] = loaded.quantized.to_dict()
        return ModelOwner(loaded, settings)


class HuggingFace:
    """Finds models for transformers."""

    packages = ("torch", "transformers", "huggingface_hub", "safetensors", "filelock", "psutil", "tqdm")
    extra = "kernel"

    def find(self, spec: ModelSpec, *, control: Control, report: Report, loaded: int) -> HuggingFaceModel:
        """See ``Driver``."""
        check_before_download(spec, control, loaded)
        snapshot = fetch(spec.source, spec.folder, allow_pickle=spec.allow_pickle, control=control, report=report)
        with paused():  # torch is imported here, by the first model
            placement = choose(
                spec.device,
                spec.precision,
                _dtype(snapshot, snapshot.identity),
                spec.compute_dtype,
                double_quant=spec.double_quant,
            )
        adapters = find_adapters(spec.adapters, spec.folder, control=control, report=report)
        return HuggingFaceModel(snapshot, placement, adapters)


DRIVER = HuggingFace()
