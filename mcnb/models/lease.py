"""What the models in memory hand out: an answer, a lease."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass

from mcnb.models.drivers.contract import Owner


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
    owner : Owner
        To submit generations to.
    hit : bool
        Whether the model was in memory already.
    """

    owner: Owner
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
