"""What is asked of the models in memory, and what is handed out: a spec, an answer, a lease."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path

from mcnb.compose.schema import ModelSource
from mcnb.models.owner import ModelOwner


@dataclass(frozen=True)
class ModelSpec:
    """What a component asks for.

    Attributes
    ----------
    source : ModelSource
        Where the weights come from.
    folder : Path
        Where relative paths start.
    device, precision : str
        As in the document.
    allow_pickle : bool
        Whether pickled weights may be used.
    """

    source: ModelSource
    folder: Path
    device: str = "auto"
    precision: str = "auto"
    allow_pickle: bool = False


@dataclass(frozen=True)
class Ready:
    """A model that is in memory.

    Attributes
    ----------
    key : Hashable
        What it is.
    hit : bool
        Whether it was there before it was asked for.
    """

    key: Hashable
    hit: bool


@dataclass
class Lease:
    """The right to use a loaded model until it is released.

    Attributes
    ----------
    owner : ModelOwner
        To submit generations to.
    hit : bool
        Whether the model was in memory already.
    """

    owner: ModelOwner
    hit: bool
    _give_back: Callable[[float | None], None]
    _released: bool = False

    def release(self, idle_timeout: float | None = None) -> None:
        """Give the model back.

        Parameters
        ----------
        idle_timeout : float, optional
            Seconds after which it leaves memory when nobody uses it; None keeps it.
        """
        if not self._released:
            self._released = True
            self._give_back(idle_timeout)
