"""How much memory a model needs, from its config alone: nothing is loaded and no weights are fetched."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mcnb.errors import ModelDamagedError
from mcnb.models.control import Control
from mcnb.models.engine.slabs import room_for
from mcnb.models.hardware import choose_device
from mcnb.models.home import writing
from mcnb.models.packing import gains
from mcnb.models.quantizing import COMPUTES_IN, KINDS
from mcnb.models.sizes import Sizes, sizes_of
from mcnb.models.snapshot import Snapshot

WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}
"""Bytes of a number."""

OFFERED = ("float32", "bfloat16", "int8", "int4", "nf4")
"""What is estimated when nobody says for which dtype: the last ones are bfloat16 models with quantized matrices."""

DEFAULT_CONTEXT = 4096
"""Tokens of prompt and output that are counted where nobody says how many."""

PROMPT_PART = 512
"""Tokens of a prompt that are computed at once, at most."""

FIXED_OVERHEAD = 385_000_000
"""Bytes of the Python process with torch and transformers, with a model of no size (measured: 379-392 MB)."""

_STATES, _WIDE_STATES = 6, 3
"""Numbers of each kind that are in memory for a token while a layer computes it."""


@dataclass(frozen=True)
class Estimate:
    """What a model needs.

    Attributes
    ----------
    name : str
        The model.
    parameters : int
        Number of weights.
    context, rows : int
        Tokens of each text and number of texts the key/value cache was counted for.
    dtype : str
        ``float32``, ``float16``, ``bfloat16``; or a kind of quantized weights.
    weights, cache, activations : int
        Bytes: of weights and buffers; of keys and values; of what is in between while a part of a prompt is computed.
    source : int
        Bytes of weight files that show up as this process's memory while they are converted or packed. The system takes
        them back when memory is short.
    """

    name: str
    parameters: int
    context: int
    rows: int
    dtype: str
    weights: int
    cache: int
    activations: int
    source: int = 0

    @property
    def needed(self) -> int:
        """Bytes that have to be free where torch is in memory already."""
        return self.weights + self.cache + self.activations

    @property
    def total(self) -> int:
        """Bytes in all, the Python process included."""
        return self.needed + FIXED_OVERHEAD

    @property
    def peak(self) -> int:
        """Bytes the process shows at most: while it loads, or while it computes."""
        return FIXED_OVERHEAD + max(self.weights + self.source, self.needed)


def estimate(name: str, folder: Path, context: int | None = None, rows: int = 1) -> list[Estimate]:
    """Estimate a model's memory for each dtype.

    Parameters
    ----------
    name : str
        The model, for messages.
    folder : Path
        A folder with at least ``config.json``.
    context : int, optional
        Tokens of prompt and output together; by default 4,096, or the model's context when that is shorter.
    rows : int
        Texts that are generated at the same time. Encoder-decoder models compute one after the other, so one is counted
        (with ``reproducible: false`` several are computed at once, and each takes as much again).

    Returns
    -------
    list of Estimate
        One for each dtype.

    Raises
    ------
    ModelDamagedError, UnsafeModelError, UnsupportedModelError
    """
    snapshot = Snapshot(name, "local", folder)
    sizes = sizes_of(snapshot)
    device = choose_device("auto")
    tokens = context or DEFAULT_CONTEXT
    return [estimate_as(snapshot, sizes, dtype, device, tokens, rows) for dtype in offered_on(device)]


def offered_on(device: str) -> list[str]:
    """Return those of ``OFFERED`` that a device can do."""
    return [dtype for dtype in OFFERED if device == "cpu" or dtype not in KINDS]


def estimate_as(
    snapshot: Snapshot,
    sizes: Sizes,
    dtype: str,
    device: str,
    context: int,
    rows: int = 1,
    computes_in: str = COMPUTES_IN,
) -> Estimate:
    """Estimate a model's memory for one dtype on a device, with a context no longer than its own.

    Of quantized weights, `computes_in` says what the rest of the model is kept in.
    """
    kind = KINDS.get(dtype)
    computes_in = dtype if kind is None else computes_in
    packed = device == "cpu" and gains(computes_in)
    width = WIDTHS[computes_in]
    weights = (sizes.parameters + (sizes.shared if packed else 0)) * width + sizes.buffers
    if kind is not None:
        small = sizes.matrices - (sizes.uneven if kind.bits == 4 else 0)
        weights += kind.weight_bytes(small, sizes.matrix_rows, width) - small * width
    tokens = min(context, sizes.context or DEFAULT_CONTEXT)
    part = tokens if sizes.whole_prompts else min(tokens, PROMPT_PART)
    states = part * (_STATES * sizes.hidden + _WIDE_STATES * sizes.widest) * width
    pairs = 2 * sizes.heads * part * part * width if sizes.position_scores else 0
    together, room = (1, tokens) if sizes.whole_prompts else (rows, room_for(tokens) or tokens)
    scores = together * sizes.vocabulary * (width + 2 * WIDTHS["float32"])  # converted, and sorted
    return Estimate(
        snapshot.name,
        sizes.parameters,
        tokens,
        rows,
        dtype,
        weights=weights,
        cache=together * room * sizes.cached * width,
        activations=states + pairs + scores,
        source=_source(snapshot, dtype, packed=packed),
    )


def _source(snapshot: Snapshot, dtype: str, *, packed: bool) -> int:
    """Return the bytes of files that are converted or packed; others are themselves the weights."""
    from mcnb.models.loading import stored_dtype

    with contextlib.suppress(ModelDamagedError):  # they are not here yet
        if packed or stored_dtype(snapshot) != dtype:
            return snapshot.size
    return 0


def config_folder(source: Any, base: Path) -> Path:
    """Return a folder with a source's ``config.json``; of a repository of the hub, no more than that is fetched.

    Raises
    ------
    ModelError
    """
    from mcnb.compose.schema import HuggingFaceSource
    from mcnb.models.sources import describe, fetch

    if isinstance(source, HuggingFaceSource) and not source.filename:
        from mcnb.models.sources.hub import fetch_config

        with writing(describe(source)):
            return fetch_config(source, Control())
    return fetch(source, base, allow_pickle=True).folder
