"""KeptRun: the keeper's side of an unfinished run. It sees to it that the run ends once."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from mcnb.compose import Document
from mcnb.errors import (
    InternalError,
    KernelDiedError,
    McnbError,
    RunCancelledError,
    RunTimeoutError,
    ServerRestartedError,
)
from mcnb.runtime.redaction import blacken_error, secrets_of
from mcnb.server.keeper.journal import Journal
from mcnb.server.keeper.live import LiveRun
from mcnb.server.keeper.ordering import order_of
from mcnb.server.kernels import KernelLink
from mcnb.server.store import TERMINAL, Finish

_Event = dict[str, Any]

_CANCELLED = RunCancelledError("the run was cancelled").to_dict()


class KeptRun:
    """An unfinished run: waiting, or in a kernel. Kernels tell it what happens, as its ``RunListener``.

    The first end that is told is the run's end; whatever comes after it is not heard.

    Parameters
    ----------
    live : LiveRun
        What readers see.
    journal : Journal
        Of the run.
    document : Document
        As it was when the run was accepted.
    clock : callable
        Seconds since 1970.
    on_over : callable
        Called with this once its end is told, and before that is stored.

    Attributes
    ----------
    link : KernelLink or None
        The kernel that has it.
    over : bool
        Whether its end has been told.
    cancelling : bool
        Whether somebody asked for its end.
    on_untouched : callable or None
        Called with this when its kernel died before it said anything of the run: it is handed out once more. A second
        time it fails, as it may be what kills kernels.
    """

    def __init__(
        self,
        live: LiveRun,
        journal: Journal,
        document: Document,
        clock: Callable[[], float],
        on_over: Callable[[KeptRun], None],
    ) -> None:
        self.live = live
        self.journal = journal
        self.document = document
        self.link: KernelLink | None = None
        self.over = False
        self.cancelling = False
        self._clock = clock
        self._on_over = on_over
        self._alarm: asyncio.TimerHandle | None = None
        self.on_untouched: Callable[[KeptRun], None] | None = None
        self._touched = False
        self._started = False
        journal.on_overtaken = self._overtaken

    @property
    def id(self) -> str:
        """The run's id."""
        return self.live.id

    # --- while it waits ---------------------------------------------------------------------------------------------

    def watch_the_time(self) -> None:
        """Fail the run when its time is over before a kernel has it."""
        if (left := self._time_left()) is not None:
            self._alarm = asyncio.get_running_loop().call_later(max(0.0, left), self._time_is_over)

    def forget_the_time(self) -> None:
        """From here on the kernel watches it, or the next server does."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def give_to(self, link: KernelLink, longest: float) -> None:
        """Hand the run to a kernel, which gets at most the seconds `longest` where the run names no time limit."""
        if self.over:
            return
        self.forget_the_time()
        left = self._time_left()
        if left is not None and left <= 0:
            self._time_is_over()
            return
        order = order_of(self.live.row, self.document, longest if left is None else left)
        self.link = link
        try:
            link.run(order, self)
        except McnbError as error:
            self.fail(error)
        except Exception as error:
            logging.getLogger(__name__).exception("run %s could not be given to its kernel", self.id)
            self.fail(InternalError(f"the run could not be given to its kernel ({type(error).__name__})"))

    def _time_left(self) -> float | None:
        timeout = self.live.row.request["timeout"]
        return None if timeout is None else self.live.row.created + timeout - self._clock()

    def _time_is_over(self) -> None:
        limit = self.live.row.request["timeout"]
        hint = "give it more time, or send fewer runs at once"
        self.fail(RunTimeoutError(f"the run was still waiting when its time limit of {limit:g} s passed", hint=hint))

    # --- what its kernel tells --------------------------------------------------------------------------------------

    def on_events(self, events: list[_Event]) -> None:
        """Keep what has happened."""
        self._touched = True
        if self.over:
            return
        heard = [event for event in events if self._is_heard(event)]
        states = [event for event in heard if event["type"] == "state"]
        self.journal.add(heard, state=states[-1]["state"] if states else None, started=self._start_in(heard))

    def on_finished(
        self,
        events: list[_Event],
        state: str,
        output: Any,
        error: dict[str, Any] | None,
        record: dict[str, Any] | None,
    ) -> None:
        """Keep how the run ended. Who was told that it is being cancelled is not told in the end that it is completed.

        See also ``Run._finish``, which does the same where it runs.
        """
        if self.over:
            return
        if self.cancelling and state == "completed":
            events = [event for event in events if event["type"] != "output"]
            state, output, error = "cancelled", None, dict(_CANCELLED)
            record = None if record is None else {**record, "state": state, "output_sha256": None}
        last = next((event["time"] for event in reversed(events) if event["type"] == "state"), self._clock())
        heard = [event for event in events if self._is_heard(event)]
        self._end(Finish(state, output, error, record, last), heard, started=self._start_in(heard))

    def on_refused(self, error: McnbError) -> None:
        """Fail the run: its kernel would not take it."""
        self.fail(error)

    def on_died(self, error: KernelDiedError) -> None:
        """End the run: its kernel is gone. One that it had not touched waits for the next kernel."""
        if self._touched or self.over or self.cancelling or self.on_untouched is None:
            self.fail(error)
            return
        self._touched = True
        self.link = None
        self.on_untouched(self)

    def _start_in(self, events: list[_Event]) -> float | None:
        """Return when the run started, where these events tell it for the first time."""
        times = [event["time"] for event in events if event["type"] == "state" and event["state"] == "processing"]
        if self._started or not times:
            return None
        self._started = True
        return float(times[0])

    def _is_heard(self, event: _Event) -> bool:
        """Whether an event tells something new: the keeper itself says that a run waits, is cancelled, has ended."""
        if event["type"] != "state":
            return True
        state = event["state"]
        return state not in TERMINAL and state != "pending" and not self.cancelling

    # --- its end ----------------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """End the run at once where no kernel has it; otherwise ask its kernel to stop."""
        if self.over or self.cancelling:
            return
        if self.link is None:
            self._cancelled()
            return
        self.cancelling = True
        self.journal.add([{"type": "state", "time": self._clock(), "state": "cancelling"}], state="cancelling")
        self.link.cancel(self.id)

    def fail(self, error: McnbError) -> None:
        """End the run with an error; a run that somebody cancelled is cancelled."""
        if self.over:
            return
        if self.cancelling:
            self._cancelled()
            return
        told = blacken_error(error, secrets_of(self.document))
        self._end(Finish("failed", error=told.to_dict(), finished=self._clock()))

    def stop(self) -> None:
        """End the run because the server ends."""
        held = None if self.over else self.link
        self.fail(
            ServerRestartedError(
                "the server was stopped while the run was under way", hint="send it again, or retry it"
            )
        )
        if held is not None:  # after its end is told: what the kernel says to this changes nothing any more
            held.cancel(self.id)

    def _cancelled(self) -> None:
        self._end(Finish("cancelled", error=dict(_CANCELLED), finished=self._clock()))

    def _overtaken(self) -> None:
        """Stop: the store says that somebody else has finished the run."""
        if not self.over:
            self.over = True
            self.forget_the_time()
            if self.link is not None:
                self.link.cancel(self.id)
            self._on_over(self)

    def _end(self, finish: Finish, events: list[_Event] | None = None, *, started: float | None = None) -> None:
        self.over = True
        self.forget_the_time()
        told = {} if finish.error is None else {"error": finish.error}
        last = {"type": "state", "time": finish.finished, "state": finish.state, **told}
        self.journal.finish([*(events or []), last], finish, started=started)
        self._on_over(self)
