"""A request to a model, from whoever wants a text to the thread that computes it."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from mcnb.errors import InternalError, McnbError, QueueFullError
from mcnb.models.chat import Prompt
from mcnb.models.control import Control
from mcnb.models.parameters import Parameters
from mcnb.models.rows import GenerationResult, OnPrompt, OnText

Priority: TypeAlias = Literal["interactive", "api", "bulk"]

HEAD_START: dict[Priority, float] = {"interactive": 0.0, "api": 2.0, "bulk": 20.0}
"""Seconds that a request of a priority waits longer than an interactive one; so the oldest has its turn in the end."""

LONGEST_QUEUE = 1000
"""Requests that wait for one model at most, whatever engine computes it."""


def full_queue(name: str, waiting: int) -> QueueFullError | None:
    """Return what to tell when no more requests can wait for a model; None while there is room."""
    if waiting < LONGEST_QUEUE:
        return None
    told = f"{waiting:,} generations wait for {name} already, and no more are taken"
    return QueueFullError(told, hint="try again when some of them are done")


@dataclass
class Generation:
    """One request to a model.

    Attributes
    ----------
    result : GenerationResult
        Filled while it runs; holds the partial text when it is stopped.
    future : Future
        Gets the result, or the exception that ended the generation.
    priority : str
        ``interactive``, ``api`` or ``bulk``.
    reproducible : bool
        Whether its text has to be the same whatever else is computed.
    queue_seconds : float
        How long it waited for its turn.
    """

    prompt: Prompt
    parameters: Parameters
    control: Control
    on_text: OnText
    on_prompt: OnPrompt | None = None
    priority: Priority = "interactive"
    reproducible: bool = True
    result: GenerationResult = field(default_factory=GenerationResult)
    future: Future[GenerationResult] = field(default_factory=Future)
    submitted: float = field(default_factory=time.perf_counter)
    queue_seconds: float = 0.0

    @property
    def due(self) -> float:
        """When its turn is: the lower, the sooner."""
        return self.submitted + HEAD_START[self.priority]

    def leave_queue(self) -> None:
        """Give up at once when it has not started; a started one notices its control."""
        self.future.cancel()

    def begin(self) -> bool:
        """Take it out of the queue; return False when nobody wants it any more."""
        if not self.future.set_running_or_notify_cancel():
            return False
        self.queue_seconds = time.perf_counter() - self.submitted
        return True

    def settle(self, error: BaseException | None) -> None:
        """Tell who waits that it is over; an error that is none of mcnb's is a defect."""
        if error is not None and not isinstance(error, McnbError):
            wrapped = InternalError(f"the generation failed ({type(error).__name__}: {error})")
            wrapped.__cause__ = error
            error = wrapped
        with contextlib.suppress(InvalidStateError):
            if error is None:
                self.future.set_result(self.result)
            else:
                self.future.set_exception(error)
