"""One run at a kernel: its events in order, nothing twice, nothing lost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from mcnb.errors import InvalidInputError, KernelDiedError, McnbError, error_of
from mcnb.kernel.protocol import UNSENT
from mcnb.server.kernels.order import KernelOrder, RunListener
from mcnb.server.kernels.patience import Patience

SILENCE = 5.0
"""Seconds without a word about a run after which the kernel is asked what it has to say."""

STOPPING = 2.0
"""Seconds after which a run that goes on is asked to stop once more: the first time may have been lost."""

HURRY = 0.5
"""Seconds between two questions about messages that are known to be lost."""


class FollowedRun:
    """Takes a run's messages and tells its listener.

    Parameters
    ----------
    order : KernelOrder
        The run.
    listener : RunListener
        One that raises is logged, and told the rest all the same.
    now : float
        The event loop's time.

    Attributes
    ----------
    last : int
        The kernel's number of the last event that is known.
    known : bool
        Whether the kernel has said anything about the run.
    """

    def __init__(self, order: KernelOrder, listener: RunListener, now: float) -> None:
        self.order = order
        self.last = UNSENT
        self.known = False
        self._listener = listener
        self._lost: Patience | None = None
        self._silent = Patience(SILENCE, now)
        self._stopping: Patience | None = None

    def take(self, message: Mapping[str, Any], now: float) -> bool:
        """Take an ``events`` message; return whether the run is over with it."""
        self.known = True
        self._silent.heard(now)
        after, upto, events = message["after"], message["upto"], message["events"]
        finished = message.get("finished")
        if after != self.last:
            if upto > self.last or finished is not None:  # pieces of text are joined: a part of it is no use
                self._lost = self._lost or Patience(HURRY, now - HURRY)
            return False
        self.last, self._lost = upto, None
        if finished is None:
            if events:
                self._tell(self._listener.on_events, events)
            return False
        self._tell(
            self._listener.on_finished,
            events,
            finished["state"],
            finished["output"],
            finished["error"],
            finished["record"],
        )
        return True

    def wants_more(self, now: float) -> bool:
        """Return whether it is time to ask the kernel what comes after ``last``."""
        return (self._lost is not None and self._lost.is_over(now)) or self._silent.is_over(now)

    def stop(self, now: float) -> None:
        """Note that it is asked to stop."""
        self._stopping = self._stopping or Patience(STOPPING, now)

    def wants_to_stop(self, now: float) -> bool:
        """Return whether it is time to ask it to stop once more."""
        return self._stopping is not None and self._stopping.is_over(now)

    def refuse(self, message: Mapping[str, Any]) -> None:
        """Tell that the kernel did not take the run."""
        said = message["error"]
        error: McnbError = error_of(said["code"], said["message"])
        if isinstance(error, InvalidInputError):
            error.errors = tuple(message.get("errors") or ())
        self._tell(self._listener.on_refused, error)

    def die(self, error: KernelDiedError) -> None:
        """Tell that the kernel is gone."""
        self._tell(self._listener.on_died, error)

    def _tell(self, told: Callable[..., None], *what: Any) -> None:
        try:
            told(*what)
        except Exception:
            logging.getLogger(__name__).exception("what came of run %s could not be taken", self.order.id)
