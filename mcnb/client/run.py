"""RemoteRun: a Run that is computed on a server."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Mapping
from typing import Any, cast, get_args

from mcnb.client.feed import Feed
from mcnb.client.replies import cannot_understand, json_of, run_error
from mcnb.client.served import Shown
from mcnb.client.server import ATTEMPTS, Broken, Server, pause_before
from mcnb.errors import ConflictError, InvalidInputError, McnbError, NotFoundError
from mcnb.runtime import Record, Run, State
from mcnb.runtime.events import Event, EventType
from mcnb.runtime.interruption import KEPT, Interruption, Pause
from mcnb.runtime.run import TERMINAL

RUN_ID = re.compile(r"[A-Za-z0-9_-]+")


class RemoteRun(Run):
    """A run that is computed on a server; whoever waits for it, streams it or cancels it sees no difference.

    A thread reads its events as they come and ends with it. When the connection breaks, it is made again and goes on
    behind the last event that came, so that nothing is lost and nothing comes twice.

    Parameters
    ----------
    server : Server
        Computes it.
    body : mapping
        The run, as the server told it when it took it.
    workflow : str
        The workflow's id in its document.
    input, parameters : mapping
        What the caller gave; the record holds it from the beginning.
    shown : Shown
        Which jobs' text is the run's.

    Attributes
    ----------
    served_as : str
        The workflow's id at the server.
    """

    def __init__(
        self,
        server: Server,
        body: Mapping[str, Any],
        *,
        workflow: str,
        input: Mapping[str, Any],
        parameters: Mapping[str, Any],
        shown: Shown,
    ) -> None:
        run_id = body.get("run_id")
        if not isinstance(run_id, str) or not RUN_ID.fullmatch(run_id):  # it becomes part of addresses
            raise cannot_understand(server.url, "a run has no id")
        self._server = server
        self._shown = shown
        self._seen = 0
        self.served_as = str(body.get("workflow_id") or workflow)
        super().__init__(
            Record(
                run_id=run_id,
                workflow=workflow,
                created=_number(body.get("created"), time.time()),
                document={},
                input=dict(input),
                parameters=dict(parameters),
                seed=int(_number(body.get("seed"), 0)),
            )
        )
        self._feed = Feed(server, self)
        self._feed.start()

    # --- what callers use -------------------------------------------------------------------------------------------

    def cancel(self) -> None:
        """Ask the server to stop the run; as of any run, ``wait`` waits until computing has stopped."""
        if not self.done:
            # not a daemon: a program that cancels and ends has cancelled
            threading.Thread(target=self._send_cancel, name="mcnb-remote-cancel").start()

    def resume(self, answer: Any = KEPT) -> None:
        """Go on after an interruption; as of any run.

        Raises
        ------
        InvalidInputError
            When the run is not interrupted, or the answer does not fit; the run then still waits.
        ServerError
            When the server cannot be reached: then the answer may have arrived; ``state`` tells.
        """
        pause = self._pause
        if pause is None or self._state != "interrupted":
            raise InvalidInputError(f"the run is {self._state}, not interrupted: it waits for no answer")
        body = {} if answer is KEPT else {"answer": pause.interruption.plain(answer)}
        try:
            self._server.post(f"workflows/runs/{self.id}/resume", body, once=True)
        except ConflictError as error:
            raise InvalidInputError(error.message, hint=error.hint) from error
        with self._lock:
            if pause is self._pause and self._state == "interrupted":  # the event is on its way
                self._state, self._pause = "processing", None

    # --- what the feed uses -----------------------------------------------------------------------------------------

    @property
    def seen(self) -> int:
        """The number of the last event that came."""
        return self._seen

    def take(self, event: dict[str, Any]) -> None:
        """Take the next event; one that came before is passed over.

        Raises
        ------
        Broken
            When others are missing before it.
        """
        number, known = event["id"], self._seen
        if number <= known:
            return
        if number > known + 1:
            raise Broken(f"event {known + 1} is missing")
        data = {key: value for key, value in event.items() if key not in ("id", "type", "time")}
        found = Event(number, cast(EventType, event["type"]), data, _number(event.get("time"), time.time()))
        if found.type == "state" and data.get("state") in TERMINAL:
            self._complete(found)
        else:
            if found.type == "state":
                self._take_state(data)
            elif found.type == "job":
                self._take_job(data)
            elif found.type == "token" and (data.get("streamed") or data.get("job") in self._shown):
                self._pieces.append(str(data.get("text", "")))
            self._log.take(found)
            self._seen = number
        self._log.tell()

    def lose(self, error: McnbError) -> None:
        """End as failed: nothing more can be learned of it."""
        if self.done:
            return
        data = {"state": "failed", "error": error.to_dict()}
        self._end("failed", None, error, None, Event(self._seen + 1, "state", data))
        self._log.tell()

    # --- states -----------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        """Begin with no event: the server tells the first one, too."""

    def _take_state(self, data: dict[str, Any]) -> None:
        state = data.get("state")
        if state not in get_args(State):
            raise Broken("a state has no name")
        with self._lock:
            self._state = cast(State, state)
            self._pause = _pause(data) if state == "interrupted" else None

    def _take_job(self, data: dict[str, Any]) -> None:
        job = str(data.get("job"))
        if data.get("state") == "processing" and "item" not in data and job in self._shown:
            self._begin_text(is_markdown=self._shown[job])

    def _complete(self, last: Event) -> None:
        """Fetch what the events do not hold, then end: who waits finds output and record complete."""
        response = self._server.ask("GET", f"api/workflows/runs/{self.id}")
        if response.status_code >= 500 or response.status_code == 429:
            raise Broken(f"its result cannot be had: {response.status_code}")
        if not response.is_success:
            raise self._server.refused(response)
        body = json_of(response)
        if not isinstance(body, dict) or body.get("status") != last.data["state"]:
            raise Broken("the run is told to have ended, and not to have ended")
        state: State = last.data["state"]
        self._end(state, body.get("output"), run_error(state, body.get("error")), body.get("record"), last)

    def _end(self, state: State, output: Any, error: McnbError | None, record: Any, last: Event) -> None:
        found = self._read_record(record)
        with self._lock:
            self.record = found
            self.output, self.error = output, error
            self._pause = None
            self._state = found.state = state
            self._log.take(last, last=True)
            self._seen = last.id

    def _read_record(self, data: Any) -> Record:
        """Return the server's record; what is known here, where it has none: a kernel that died wrote none."""
        if not isinstance(data, Mapping):
            return self.record
        try:
            found = Record.from_dict(data)
        except InvalidInputError as error:
            logging.getLogger(__name__).warning("run %s: %s", self.id, error)
            return self.record
        found.run_id = self.id  # by which the server knows it
        return found

    def _send_cancel(self) -> None:
        for attempt in range(1, ATTEMPTS + 1):
            if self.done:
                return
            try:
                response = self._server.ask("POST", f"api/workflows/runs/{self.id}/cancel", json={})
            except Broken as broken:
                if self._server.closed:
                    return
                told: object = broken
            else:
                error = None if response.is_success else self._server.refused(response)
                if error is None or isinstance(error, ConflictError | NotFoundError):  # it ended meanwhile
                    return
                told = error
            self._server.pause(pause_before(attempt))
        logging.getLogger(__name__).warning("run %s could not be cancelled: %s", self.id, told)


def _pause(data: Mapping[str, Any]) -> Pause:
    asked = Interruption(
        job=str(data.get("job", "")),
        phase="after" if data.get("phase") == "after" else "before",
        message=data.get("message"),
        metadata=data.get("metadata"),
        value=data.get("value"),
    )
    return Pause(asked, asked.value)


def _number(value: Any, otherwise: float) -> float:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else otherwise
