"""Run: one execution of a workflow."""

from __future__ import annotations

import contextlib
import threading
import uuid
from concurrent.futures import InvalidStateError
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from mcnb.errors import InvalidInputError, McnbError, RunCancelledError
from mcnb.models.control import Control
from mcnb.runtime.events import EventLog, EventType
from mcnb.runtime.interruption import KEPT, Interruption, Pause
from mcnb.runtime.reading import Readable, text_of
from mcnb.runtime.record import Record
from mcnb.runtime.status import Status
from mcnb.runtime.tracking import Tracking

if TYPE_CHECKING:
    from mcnb.models.progress import Progress

State: TypeAlias = Literal["pending", "processing", "interrupted", "cancelling", "cancelled", "completed", "failed"]

TERMINAL: frozenset[State] = frozenset({"cancelled", "completed", "failed"})


class Run(Readable):
    """One execution: id, state, events, output, record.

    Made by ``Runtime.submit`` (or ``Compose.run`` and ``Compose.submit``). Safe to use from any thread and from any
    event loop.

    Attributes
    ----------
    id : str
        Unique.
    workflow : str
        The workflow's id.
    output : Any
        What the workflow gave; None until it is completed.
    error : McnbError or None
        Why it failed or was cancelled.
    record : Record
        Everything needed to repeat it; complete when the run is.
    markdown : bool
        Whether its text is Markdown, as that of a chat is; only notebooks ask.
    """

    def __init__(self, record: Record) -> None:
        self.id: str = record.run_id
        self.workflow = record.workflow
        self.record = record
        self.output: Any = None
        self.error: McnbError | None = None
        self.markdown = False
        self.control = Control()
        self._state: State = "pending"
        self._lock = threading.Lock()
        self._log = EventLog()
        self._pieces: list[str] = []
        self._tracking = Tracking(self._log)
        self._pause: Pause | None = None
        self._open()

    @staticmethod
    def new_id() -> str:
        """Return a fresh id."""
        return uuid.uuid4().hex

    # --- what callers use -------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """``pending, processing, interrupted, cancelling, cancelled, completed`` or ``failed``."""
        return self._state

    @property
    def status(self) -> Status:
        """What it is doing at the moment, how far it is and how long it still takes."""
        return self._tracking.status

    @property
    def text(self) -> str:
        """The text so far: that of the output when it is completed, that to edit when it is interrupted."""
        if self._state == "completed" and (text := text_of(self.output)) is not None:
            return text
        asked = self.interruption
        if asked is not None and asked.text is not None:
            return asked.text
        return "".join(self._pieces)

    @property
    def interruption(self) -> Interruption | None:
        """What it waits for; None unless the state is ``interrupted``."""
        pause = self._pause
        return pause.interruption if pause is not None and self._state == "interrupted" else None

    def cancel(self) -> None:
        """Ask the run to stop. ``state`` is ``cancelled`` when its computing has stopped; ``wait`` waits for that."""
        if self._change("cancelling", after=("pending", "processing", "interrupted")):
            self.control.cancel()

    def resume(self, answer: Any = KEPT) -> None:
        """Go on after an interruption.

        Parameters
        ----------
        answer : Any, optional
            Replaces the interruption's value; without one the value stays. A job's input is a mapping; where it has
            one text, a text alone replaces that.

        Raises
        ------
        InvalidInputError
            When the run is not interrupted, or the answer does not fit; the run then still waits.
        """
        pause = self._pause
        reply = None if pause is None else pause.replied(answer)
        with self._lock:
            waits = pause is not None and pause is self._pause and self._state == "interrupted"
            if waits:
                self._state, self._pause = "processing", None
                self._log.add("state", {"state": "processing"})
        if not waits or pause is None or reply is None:
            raise InvalidInputError(f"the run is {self._state}, not interrupted: it waits for no answer")
        self._log.tell()
        with contextlib.suppress(InvalidStateError):  # another job failed, and the run with it
            pause.reply.set_result(reply)

    def settle(self, timeout: float | None = None) -> bool:
        """Wait until the run is done or interrupted.

        Parameters
        ----------
        timeout : float, optional
            Seconds.

        Returns
        -------
        bool
            False when the timeout passed first; the run goes on.
        """
        return self._log.wait_until(lambda: self._log.closed or self._state == "interrupted", timeout)

    def __repr__(self) -> str:
        return f"<Run {self.id[:8]} of {self.workflow}: {self._state}>"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        """Return how notebooks show the run; see ``rich``."""
        from mcnb.runtime.rich import mimebundle

        return mimebundle(self, name="run")

    # --- what the runtime uses --------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Begin the log."""
        self._emit("state", {"state": "pending"})

    def _emit(self, kind: EventType, data: dict[str, Any]) -> None:
        self._log.add(kind, data)
        self._log.tell()

    def _change(self, state: State, *, after: tuple[State, ...], pause: Pause | None = None) -> bool:
        """Go from one of the states `after` to another; return whether that was so.

        The event is added under the lock, so that events come in the order of the changes.
        """
        with self._lock:
            if self._state not in after:
                return False
            self._state, self._pause = state, pause
            self._log.add("state", {"state": state, **({} if pause is None else pause.interruption.to_dict())})
        self._log.tell()
        return True

    def _interrupt(self, pause: Pause) -> None:
        """Wait for an answer, unless the run is stopping."""
        self._change("interrupted", after=("processing",), pause=pause)

    def _start(self) -> None:
        self._change("processing", after=("pending",))

    def _begin_text(self, *, is_markdown: bool) -> None:
        """Begin the text anew: a job starts whose pieces it is made of, maybe not for the first time."""
        self.markdown = is_markdown
        self._pieces = []

    def _progress(self, progress: Progress) -> None:
        self._emit(progress.stage, progress.to_dict())

    def _token(self, job: str, item: int, text: str, tokens: int, *, shown: bool, streamed: bool) -> None:
        if shown:
            self._pieces.append(text)
        self._emit("token", {"job": job, "item": item, "text": text, "tokens": tokens, "streamed": streamed})

    def _finish(self, state: State, *, output: Any = None, error: McnbError | None = None) -> None:
        """Reach the one terminal state; a second call changes nothing.

        Who was told that the run is being cancelled is not told in the end that it is completed.
        """
        with self._lock:
            if self._state in TERMINAL:
                return
            if self._state == "cancelling" and state == "completed":
                state, output, error = "cancelled", None, RunCancelledError("the run was cancelled")
                self.record.output_sha256 = None
            self.output, self.error = output, error
            self._state = self.record.state = state
            if state == "completed":
                self._log.add("output", {"output": output})
            told = {} if error is None else {"error": error.to_dict()}
            self._log.add("state", {"state": state, **told}, last=True)
        self._log.tell()
