"""What a benchmark is told, and what it gives."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Settings:
    """How much is measured, beside whom.

    Attributes
    ----------
    rounds : int
        Of everything; the figures are medians.
    tokens : int
        Of a run; some benchmarks take multiples of it.
    model : Path
        The folder of SmolLM2.
    peer, llama_cpp : Path or None
        Pythons of environments that have the other servers; None: they are left out.
    """

    rounds: int
    tokens: int
    levels: tuple[int, ...]
    rates: tuple[float, ...]
    requests: int
    model: Path
    peer: Path | None
    llama_cpp: Path | None
    say: Callable[[str], None]

    @property
    def gguf(self) -> Path:
        """The file that the model's folder was converted from."""
        path = self.model.parent / f"{self.model.name.removesuffix('-safetensors')}.gguf"
        if not path.is_file():
            raise SystemExit(f"{path} is not there, and llama.cpp's server needs it")
        return path


@dataclass(frozen=True)
class Aim:
    """What was aimed at, and what came of it."""

    number: int
    what: str
    value: float
    wanted: str
    met: bool
    unit: str = "x"


@dataclass
class Result:
    """The figures of one benchmark.

    Attributes
    ----------
    columns, rows : list
        Of its table.
    notes : list of str
        What has to be known to read it.
    values : dict
        Everything that was measured, round by round.
    """

    name: str
    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    aims: list[Aim] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)


def median(values: Sequence[float]) -> float:
    """Return the median of what was measured; nothing measured is an error."""
    if not values or not all(value > 0 for value in values):
        raise RuntimeError(f"there is nothing to take the median of: {list(values)}")
    return statistics.median(values)


def paired(ones: Sequence[float], others: Sequence[float]) -> float:
    """Return the median of the ratios, each within its round."""
    return median([one / other for one, other in zip(ones, others, strict=True)])
