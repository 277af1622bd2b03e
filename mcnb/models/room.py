"""Whether a model fits into memory: told before its weights are fetched, and before they are loaded."""

from __future__ import annotations

from mcnb.compose.schema import HuggingFaceSource
from mcnb.errors import ModelDamagedError, ModelNotFoundError, OutOfMemoryError
from mcnb.models.catalog import smaller_repositories
from mcnb.models.control import Control
from mcnb.models.estimate import WIDTHS, Estimate, estimate_as, offered_on
from mcnb.models.hardware import Placement, choose
from mcnb.models.memory import free_memory
from mcnb.models.sizes import sizes_of
from mcnb.models.snapshot import Snapshot
from mcnb.models.spec import ModelSpec

LEAST_CONTEXT = 512
"""Tokens for which there has to be room beside the weights, or a model is not loaded: a run says its own later."""

PLENTY = 8
"""Times the size of its files, of which a model never needs more: then nothing has to be counted before loading."""


def needed_to_load(snapshot: Snapshot, placement: Placement) -> list[Estimate]:
    """Return what a model needs to be of use: first as it is placed, then with those dtypes that need less.

    Raises
    ------
    ModelDamagedError, UnsafeModelError, UnsupportedModelError
    """
    sizes = sizes_of(snapshot)
    first = estimate_as(
        snapshot, sizes, placement.dtype, placement.device, LEAST_CONTEXT, computes_in=placement.computes_in
    )
    offered = (other for other in offered_on(placement.device) if other != placement.dtype)
    others = [estimate_as(snapshot, sizes, dtype, placement.device, LEAST_CONTEXT) for dtype in offered]
    return [first, *(one for one in others if one.needed < first.needed)]


def check_before_download(spec: ModelSpec, control: Control, loaded: int) -> None:
    """Refuse a repository of the hub whose weights are not here and would not fit, knowing its ``config.json`` alone.

    Parameters
    ----------
    spec : ModelSpec
        What is asked for.
    control : Control
        Ends it.
    loaded : int
        Bytes of the models in memory: they can leave until the weights are here.

    Raises
    ------
    OutOfMemoryError
        When it does not fit.
    ModelError
        When the hub cannot be asked, or the config is of no use.
    """
    from mcnb.models.sources.hub import fetch_config

    source = spec.source
    if not isinstance(source, HuggingFaceSource) or source.filename:
        return
    try:
        folder = fetch_config(source, control)
    except ModelNotFoundError:
        return  # fetching it all tells why
    snapshot = Snapshot(source.repository, "huggingface", folder)
    if _has_weights(snapshot):
        return
    said = snapshot.config.get("dtype") or snapshot.config.get("torch_dtype")
    stored = said if said in WIDTHS else "float32"
    placement = choose(spec.device, spec.precision, stored, spec.compute_dtype, double_quant=spec.double_quant)
    wanted = needed_to_load(snapshot, placement)
    free = free_memory(placement.device) + loaded
    if wanted[0].needed > free:
        raise refusal(wanted, placement.device, free)


def _has_weights(snapshot: Snapshot) -> bool:
    try:
        return bool(snapshot.weights)
    except ModelDamagedError:
        return False


def refusal(wanted: list[Estimate], device: str, free: int) -> OutOfMemoryError:
    """Return what to tell when a model does not fit.

    Parameters
    ----------
    wanted : list of Estimate
        Of the model: first as asked for, then ways in which it needs less.
    device : str
        Where it was to go.
    free : int
        Bytes that are free there.
    """
    first, *others = wanted
    parts = f"weights {_gb(first.weights)}, {first.context:,} tokens {_gb(first.cache)}"
    return OutOfMemoryError(
        f"{first.name} needs {_gb(first.needed)} in {first.dtype} ({parts}, while computing {_gb(first.activations)}) "
        f"and {device} has {_gb(free)} free",
        hint=f"{_what_fits(first, others, free)}; see 'mcnb models estimate'",
    )


def _what_fits(first: Estimate, others: list[Estimate], free: int) -> str:
    for one in others:
        if one.needed <= free:
            setting = f"precision: {one.dtype}" if one.dtype in WIDTHS else f"quantization: {one.dtype}"
            return f"'{setting}' would fit ({_gb(one.needed)})"
    per_weight = first.needed / first.parameters
    for name, millions in smaller_repositories(first.name):
        if millions * 1e6 * per_weight <= free:
            return f"{name} would fit (about {_gb(int(millions * 1e6 * per_weight))})"
    return "close other programs, or choose a smaller model"


def _gb(count: int) -> str:
    return f"{count / 1e9:.1f} GB"
