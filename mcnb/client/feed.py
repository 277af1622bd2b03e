"""The events of a run, read in a thread, whatever happens to the connection."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from mcnb.client.server import Broken, Server, pause_before
from mcnb.errors import McnbError, NotFoundError, ServerError

if TYPE_CHECKING:
    import httpx

PATIENCE = 300.0
"""Seconds without any connection after which a run is given up."""


LONGEST_END = 5.0
"""Seconds that closing waits for a thread that is connecting at the moment."""


class Reader(Protocol):
    """Who the events are for."""

    id: str

    @property
    def done(self) -> bool:
        """Whether nothing more is wanted."""

    @property
    def seen(self) -> int:
        """The number of the last event that was taken."""

    def take(self, event: dict[str, Any]) -> None:
        """Take an event."""

    def lose(self, error: McnbError) -> None:
        """Learn that no further event can be had."""


class Feed:
    """Reads the events of one run, from where it is to the last one.

    Where the stream breaks, it is opened again behind the last event that came; where the server is silent for longer
    than its heartbeats are apart, too.

    Parameters
    ----------
    server : Server
        Computes the run.
    reader : Reader
        Gets the events, in order and each once.
    clock : callable
        Seconds.
    """

    def __init__(self, server: Server, reader: Reader, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._reader = reader
        self._clock = clock
        self._lock = threading.Lock()
        self._response: httpx.Response | None = None
        self._contact = clock()
        self._thread = threading.Thread(target=self._work, name="mcnb-remote-run", daemon=True)

    def start(self) -> None:
        """Read in a thread, which ends with the run."""
        self._server.feeds.add(self)
        self._thread.start()

    def stop(self) -> None:
        """End the thread when the server was closed."""
        with self._lock:
            response = self._response
        stream = response.extensions.get("network_stream") if response is not None else None
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None:
            with contextlib.suppress(OSError):  # closed already
                connection.shutdown(socket.SHUT_RDWR)
        if self._thread is not threading.current_thread():
            self._thread.join(LONGEST_END)

    def _work(self) -> None:
        try:
            self._read_all()
        except McnbError as error:
            self._reader.lose(error)
        except Exception as defect:  # whoever waits for the run has to learn of it
            if self._server.closed:
                self._reader.lose(_closed(self._reader.id))
                return
            lost = ServerError(f"the run's events cannot be read ({type(defect).__name__}: {defect})")
            lost.__cause__ = defect
            self._reader.lose(lost)
        finally:
            self._server.feeds.discard(self)

    def _read_all(self) -> None:
        attempt = 0
        self._contact = self._clock()
        while not self._reader.done:
            before = self._reader.seen
            try:
                self._read()
                reason: object = "the stream has ended too early"
            except Broken as broken:
                reason = broken
            if self._server.closed and not self._reader.done:
                raise _closed(self._reader.id)
            if self._reader.seen > before:
                attempt = 0
            elif self._clock() - self._contact > PATIENCE:
                raise _lost(self._server.url, self._reader.id, reason)
            if not self._reader.done:
                attempt += 1
                self._server.pause(pause_before(attempt))

    def _read(self) -> None:
        """Read one stream until it ends; raise Broken when that is too early."""
        import httpx
        from httpx_sse import EventSource, SSEError

        last = {} if not self._reader.seen else {"Last-Event-ID": str(self._reader.seen)}
        headers = {"Accept": "text/event-stream", "Cache-Control": "no-store", **last}
        try:
            with self._server.stream(f"api/workflows/runs/{self._reader.id}/events", headers=headers) as response:
                if not response.is_success:
                    response.read()
                    self._refused(response)
                with self._lock:
                    self._response = response
                try:
                    for sent in EventSource(response).iter_sse():
                        if sent.data:
                            self._reader.take(_event(sent.data))
                        if self._reader.done:
                            return
                finally:
                    self._contact = self._clock()
                    with self._lock:
                        self._response = None
        except (httpx.HTTPError, httpx.StreamError, SSEError, OSError) as error:
            raise Broken(str(error) or type(error).__name__) from error

    def _refused(self, response: httpx.Response) -> None:
        error = self._server.refused(response)
        if response.status_code >= 500 or response.status_code == 429:
            raise Broken(error.message)
        if isinstance(error, NotFoundError):
            raise NotFoundError(
                f"the server at {self._server.url} does not know run {self._reader.id} any more",
                hint="it was deleted, or the server was started with another database",
            )
        raise error


def _event(text: str) -> dict[str, Any]:
    """Read an event; raise Broken for what is none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Broken("an event is not JSON") from error
    if not isinstance(found, dict) or not isinstance(found.get("id"), int) or not isinstance(found.get("type"), str):
        raise Broken("an event has no number or no type")
    return found


def _closed(run_id: str) -> ServerError:
    return ServerError("the connection was closed", hint=f"run {run_id} goes on at the server")


def _lost(url: str, run_id: str, reason: object) -> ServerError:
    return ServerError(
        f"the server at {url} cannot be reached any more: {reason}",
        hint=f"run {run_id} may go on there; when it is back, connect again and look with find('{run_id}')",
    )
