"""The host: takes the comms of servers, in whatever thread the kernel handles their messages."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from mcnb.kernel.documents import Documents
from mcnb.kernel.protocol import TARGET
from mcnb.kernel.sending import INTERVAL, Sending
from mcnb.kernel.session import Session
from mcnb.runtime import Runtime, default_runtime


class Host:
    """Serves any number of servers from one runtime.

    Handlers only take down what came: a thread of the host does the work, so that neither a cell nor the kernel's own
    thread waits for it.

    Parameters
    ----------
    runtime : Runtime, optional
        By default the process's own, which the notebook uses too: a model that it has loaded is loaded once.
    interval : float
        Seconds between two rounds of sending.
    """

    def __init__(self, runtime: Runtime | None = None, *, interval: float = INTERVAL) -> None:
        self._runtime = default_runtime() if runtime is None else runtime
        self._documents = Documents()
        self._sending = Sending(interval)
        self._sessions: dict[str, Session] = {}
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="mcnb-kernel-host", daemon=True)
        self._thread.start()

    def opened(self, comm: Any, message: dict[str, Any]) -> None:
        """Take a new comm: what the kernel calls for the target."""
        owner = str(message["content"].get("data", {}).get("owner", comm.comm_id))
        session = Session(comm, owner, self._runtime, self._documents, self._sending)
        # The base class would tell the shell that a cell begins and ends here: figures of the cell that is at work
        # would be shown half drawn.
        comm.handle_msg = lambda told: self._inbox.put(partial(session.take, told["content"].get("data")))
        comm.on_close(lambda _: self._inbox.put(partial(self._end, comm.comm_id)))
        self._inbox.put(partial(self._begin, comm, session))

    def close(self) -> None:
        """Stop all runs and end the threads."""
        self._inbox.put(None)
        self._thread.join()
        for session in self._sessions.values():
            session.close()
        self._sessions.clear()
        self._sending.close()

    def _begin(self, comm: Any, session: Session) -> None:
        for comm_id, older in list(self._sessions.items()):
            if older.owner == session.owner:  # the server has started again: nobody reads those any more
                self._end(comm_id)
        self._sessions[comm.comm_id] = session

    def _end(self, comm_id: str) -> None:
        if session := self._sessions.pop(comm_id, None):
            session.close()
            _leave(comm_id)

    def _work(self) -> None:
        while (task := self._inbox.get()) is not None:
            try:
                task()
            except Exception:
                logging.getLogger(__name__).exception("a message to %s could not be handled", TARGET)


def _leave(comm_id: str) -> None:
    """Take a comm whose other end is gone from the kernel's list; nobody has to be told."""
    from comm import get_comm_manager

    with contextlib.suppress(Exception):
        manager = get_comm_manager()
        known = manager.get_comm(comm_id) if comm_id in manager.comms else None
        if known is not None:
            known._closed = True
            manager.unregister_comm(known)
