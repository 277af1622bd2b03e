"""LoRA adapters: found, checked, and added to a model's weights before these are packed or quantized."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.compose.schema import HuggingFaceSource, LocalSource
from mcnb.compose.schema.component import PeftAdapter
from mcnb.errors import McnbError, ModelDamagedError, ModelNotFoundError, UnsafeModelError, UnsupportedModelError
from mcnb.models._compat import import_peft
from mcnb.models.control import Control
from mcnb.models.model_files import read_json, safetensors_header
from mcnb.models.progress import Report
from mcnb.models.sources import describe

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_PICKLED = "adapter_model.bin"


@dataclass(frozen=True)
class Adapter:
    """An adapter's files on this machine.

    Attributes
    ----------
    name, model : str
        As the document calls it, and where it comes from.
    folder : Path
        Where it lies.
    weight : float
        How much of it is added.
    revision : str or None
        The commit.
    sha256 : str
        Of its weights.
    """

    name: str
    model: str
    folder: Path
    weight: float
    revision: str | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Return what a record keeps of it."""
        known = {"name": self.name, "model": self.model, "weight": self.weight, "revision": self.revision}
        return {**known, "digests": {WEIGHTS: self.sha256}}


def find_adapters(
    wanted: Sequence[PeftAdapter], folder: Path, *, control: Control, report: Report
) -> tuple[Adapter, ...]:
    """Bring adapters to this machine, and check them.

    Parameters
    ----------
    wanted : sequence of PeftAdapter
        What the document says.
    folder : Path
        Where relative paths start.
    control, report
        As in ``sources.fetch``.

    Raises
    ------
    ModelNotFoundError, ModelDamagedError, UnsafeModelError, UnsupportedModelError
    """
    return tuple(_found(number, one, folder, control, report) for number, one in enumerate(wanted, 1))


def _found(number: int, wanted: PeftAdapter, folder: Path, control: Control, report: Report) -> Adapter:
    source, name = wanted.model, describe(wanted.model)
    revision = None
    if isinstance(source, LocalSource):
        place = (folder / Path(source.path).expanduser()).resolve()
        if not place.is_dir():
            raise ModelNotFoundError(
                f"adapter {name}: there is no folder at {place}",
                hint="relative paths start at the compose file's folder",
            )
    elif isinstance(source, HuggingFaceSource):
        from mcnb.models.sources.hub import fetch_files

        place = fetch_files(source, (CONFIG, WEIGHTS), control=control, report=report)
        revision = place.name
    else:
        raise UnsupportedModelError(f"adapter {name}: a package has no adapters", hint="use a folder or a repository")
    kind = read_json(place / CONFIG, f"adapter {name}").get("peft_type")
    if kind != "LORA":
        raise UnsupportedModelError(f"adapter {name} is of the kind {kind}, and only LoRA is supported")
    if not (place / WEIGHTS).is_file():
        if (place / _PICKLED).is_file():
            raise UnsafeModelError(
                f"adapter {name} has pickled weights only, which could run code when loaded",
                hint="save it again as safetensors",
            )
        raise ModelDamagedError(f"adapter {name}: {WEIGHTS} is missing in {place}", hint="fetch it again")
    safetensors_header(place / WEIGHTS, f"adapter {name}")
    digest = hashlib.sha256((place / WEIGHTS).read_bytes()).hexdigest()
    return Adapter(wanted.name or f"adapter-{number}", name, place, wanted.weight, revision, digest)


def add_adapters(model: Any, name: str, adapters: Sequence[Adapter], control: Control) -> Any:
    """Add adapters to a model's weights, one after the other; return the model.

    Parameters
    ----------
    model : transformers.PreTrainedModel
        Not packed and not quantized yet.
    name : str
        The model, for messages.
    adapters : sequence of Adapter
        Each with its weight.
    control : Control
        Ends it between two of them.

    Raises
    ------
    UnsupportedModelError
        When an adapter was made for another model.
    """
    peft = import_peft()
    for adapter in adapters:
        control.check()
        _check_fits(model, name, adapter)
        try:
            wrapped = peft.PeftModel.from_pretrained(model, str(adapter.folder), is_trainable=False, torch_device="cpu")
            for module in wrapped.modules():
                scaling = getattr(module, "scaling", None)
                if isinstance(scaling, dict):
                    scaling.update({key: value * adapter.weight for key, value in scaling.items()})
            model = wrapped.merge_and_unload(safe_merge=True)
        except McnbError:
            raise
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            text = " ".join(str(error).split())[:300]
            raise UnsupportedModelError(f"adapter {adapter.model} cannot be added to {name} ({text})") from error
    return model


def _check_fits(model: Any, name: str, adapter: Adapter) -> None:
    """Refuse an adapter with weights for parts that the model does not have: they would be left out without a word."""
    known = {part for part, _ in model.named_modules()}
    for tensor in safetensors_header(adapter.folder / WEIGHTS, f"adapter {adapter.model}"):
        if ".lora_" in tensor:
            part = tensor.removeprefix("base_model.model.").partition(".lora_")[0]
            if part not in known:
                raise UnsupportedModelError(
                    f"adapter {adapter.model} was made for another model: {name} has no part {part}",
                    hint="its README says which model it was trained on",
                )
