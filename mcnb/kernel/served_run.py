"""One run of a server's: which of its events the server has been told."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from mcnb.errors import ConflictError, InternalError, InvalidInputError, McnbError
from mcnb.kernel.merging import merged
from mcnb.kernel.protocol import EVENTS, UNSENT
from mcnb.kernel.sending import Sending
from mcnb.runtime import Run


class ServedRun:
    """Follows a run and tells the server what is new.

    Parameters
    ----------
    run : Run
        Just submitted.
    sending : Sending
        Calls ``flush``.
    send : callable
        Sends a message.
    """

    def __init__(self, run: Run, sending: Sending, send: Callable[[dict[str, Any]], None]) -> None:
        self.run = run
        self._sending = sending
        self._send = send
        self._lock = threading.Lock()
        self._sent = UNSENT
        self._asked = False
        self._forgotten = False
        self._begun = False
        self._replies: dict[Any, dict[str, str] | None] = {}
        self._stop = run.listen(self._changed)
        self._changed()

    def _changed(self) -> None:
        """Have news sent; called by the thread that generates. Who waits for the first token gets it at once."""
        begins = not self._begun and any(event.type == "token" for event in self.run.events_after(self._sent))
        self._begun = self._begun or begins
        self._sending.add(self.flush, urgent=begins or self.run.done)

    def flush(self) -> None:
        """Send what is new, and how the run ended when it is done."""
        done = self.run.done  # asked first: what is done has its last event
        with self._lock:
            after = self._sent
            events = self.run.events_after(after)
            if self._forgotten or not (events or self._asked):
                return
            self._sent, self._asked = after + len(events), False
        message = {
            "type": EVENTS,
            "id": self.run.id,
            "after": after,
            "upto": after + len(events),
            "events": merged(events),
        }
        if done:
            message["finished"] = self._finished()
        self._send(message)

    def _finished(self) -> dict[str, Any]:
        run = self.run
        return {
            "state": run.state,
            "output": run.output,
            "error": None if run.error is None else run.error.to_dict(),
            "record": run.record.to_dict(),
        }

    def resend(self, after: int) -> None:
        """Send again what came after an event, even where that is nothing: the server hears that the run goes on."""
        with self._lock:
            self._sent, self._asked = max(UNSENT, min(after, self._sent)), True
        self._sending.add(self.flush, urgent=True)

    def resume(self, request: Any, *answer: Any) -> dict[str, str] | None:
        """Resume the run, once for each request, whose reply may get lost on the way; return what is wrong."""
        if request not in self._replies:
            error = self._resume(*answer)
            self._replies[request] = None if error is None else error.to_dict()
        return self._replies[request]

    def _resume(self, *answer: Any) -> McnbError | None:
        try:
            self.run.resume(*answer)
        except InvalidInputError as error:
            if self.run.interruption is None:
                return ConflictError(error.message, hint=error.hint)
            return error
        except McnbError as error:
            return error
        except Exception as defect:
            return InternalError(f"the run could not be resumed ({type(defect).__name__}: {defect})")
        return None

    def forget(self) -> None:
        """Follow the run no more; where it is not done, it stops. What was still to be said of it is not."""
        self._stop()
        with self._lock:
            self._forgotten = True
        self.run.cancel()
