"""One server's conversation with the runtime: its runs, and the replies to its messages."""

from __future__ import annotations

import contextvars
import logging
import os
import platform
from collections.abc import Callable, Mapping
from functools import partial
from importlib.metadata import version
from typing import Any

from mcnb.errors import InternalError, InvalidInputError, McnbError
from mcnb.kernel import protocol
from mcnb.kernel.documents import Documents
from mcnb.kernel.sendable import sendable
from mcnb.kernel.sending import Sending
from mcnb.kernel.served_run import ServedRun
from mcnb.runtime import Runtime
from mcnb.runtime.redaction import SHORTEST_SECRET, blacken

MOST_FINISHED = 1000
"""Finished runs that are kept until the server has them."""


class Session:
    """Serves one comm.

    Parameters
    ----------
    comm : comm.BaseComm
        Just opened; the session is made while its opening is handled.
    owner : str
        The server's id.
    runtime : Runtime
        Takes the runs.
    documents : Documents
        Of all sessions.
    sending : Sending
        Of all sessions.
    """

    def __init__(self, comm: Any, owner: str, runtime: Runtime, documents: Documents, sending: Sending) -> None:
        self.owner = owner
        self._comm = comm
        # Messages are sent as replies to the opening: a kernel routes the server's next messages by what the latest
        # one of ours replies to, and anything else than the opening may be a cell that keeps the main shell busy.
        self._context = contextvars.copy_context()
        self._runtime = runtime
        self._documents = documents
        self._sending = sending
        self._runs: dict[str, ServedRun] = {}
        self._refused: dict[str, dict[str, Any]] = {}
        self._outbox: list[dict[str, Any]] = []
        self._handlers: dict[Any, Callable[[Mapping[str, Any]], None]] = {
            protocol.RUN: self._run,
            protocol.CANCEL: self._cancel,
            protocol.RESUME: self._resume,
            protocol.SYNC: self._sync,
            protocol.FORGET: self._forget,
            protocol.HELLO: self._hello,
        }

    def take(self, message: Any) -> None:
        """Do what messages say; one that makes no sense is logged, and refused where it names a run."""
        if isinstance(message, Mapping) and message.get("type") == protocol.ROUND:
            for told in message["messages"]:
                self._take(told)
        else:
            self._take(message)

    def _take(self, message: Any) -> None:
        try:
            self._handlers[message["type"]](message)
        except Exception as defect:  # the message may hold secrets: it is not logged itself
            logging.getLogger(__name__).exception("a message of the server could not be understood")
            run_id = message.get("id") if isinstance(message, Mapping) else None
            if isinstance(run_id, str) and message.get("type") == protocol.RUN:
                self._refuse(run_id, InternalError(f"the kernel cannot read the run ({type(defect).__name__})"))

    def close(self) -> None:
        """Stop and forget its runs."""
        for served in self._runs.values():
            served.forget()
        self._runs, self._refused = {}, {}

    def _send(self, message: dict[str, Any]) -> None:
        """Send at the end of the round, all messages as one; in the sending thread."""
        self._outbox.append(message)
        self._sending.at_the_end(self._deliver)

    def _deliver(self) -> None:
        messages, self._outbox = self._outbox, []
        self._context.run(self._comm.send, sendable({"type": protocol.ROUND, "messages": messages}))

    def _reply(self, message: dict[str, Any]) -> None:
        self._sending.add(partial(self._send, message), urgent=True)

    def _run(self, message: Mapping[str, Any]) -> None:
        run_id = message["id"]
        if run_id in self._runs or run_id in self._refused:  # it was sent again, for want of a reply
            self._sync({"runs": {run_id: protocol.UNSENT}})
            return
        said = message["document"]
        secrets = tuple(value for value in said["env"].values() if len(value) >= SHORTEST_SECRET)
        try:
            run = self._runtime.submit(
                self._documents.get(said),
                message["workflow"],
                message["input"],
                drawn_seed=message.get("seed"),
                parameters=message.get("parameters"),
                timeout=message.get("timeout"),
                run_id=run_id,
                keep=False,
                max_output_tokens=message.get("max_output_tokens"),
                priority=message.get("priority", "interactive"),
            )
        except McnbError as error:
            self._refuse(run_id, error, secrets)
            return
        self._drop_finished()
        self._runs[run_id] = ServedRun(run, self._sending, self._send)

    def _refuse(self, run_id: str, error: McnbError, secrets: tuple[str, ...] = ()) -> None:
        errors = list(error.errors) if isinstance(error, InvalidInputError) else []
        told = blacken({"error": error.to_dict(), "errors": errors}, secrets)
        self._refused[run_id] = {"type": protocol.REFUSED, "id": run_id, **told}
        self._reply(self._refused[run_id])

    def _drop_finished(self) -> None:
        """Make room: a server that never says what it has must not fill the memory."""
        for kept in (self._runs, self._refused):
            while len(kept) >= MOST_FINISHED:
                oldest = next(
                    (key for key, one in kept.items() if not isinstance(one, ServedRun) or one.run.done), None
                )
                if oldest is None:
                    break
                self._drop(oldest)

    def _drop(self, run_id: str) -> None:
        self._refused.pop(run_id, None)
        served = self._runs.pop(run_id, None)
        if served is not None:
            served.forget()

    def _cancel(self, message: Mapping[str, Any]) -> None:
        if served := self._runs.get(message["id"]):
            served.run.cancel()

    def _resume(self, message: Mapping[str, Any]) -> None:
        run_id, request = message["id"], message["request"]
        served = self._runs.get(run_id)
        if served is None:
            self._reply({"type": protocol.UNKNOWN, "ids": [run_id]})
            return
        error = served.resume(request, *([message["answer"]] if "answer" in message else []))
        self._reply({"type": protocol.RESUMED, "id": run_id, "request": request, "error": error})

    def _sync(self, message: Mapping[str, Any]) -> None:
        unknown = []
        for run_id, after in message["runs"].items():
            if served := self._runs.get(run_id):
                served.resend(after)
            elif run_id in self._refused:
                self._reply(self._refused[run_id])
            else:
                unknown.append(run_id)
        if unknown:
            self._reply({"type": protocol.UNKNOWN, "ids": unknown})

    def _forget(self, message: Mapping[str, Any]) -> None:
        for run_id in message["ids"]:
            served = self._runs.get(run_id)
            if served is None or served.run.done:
                self._drop(run_id)

    def _hello(self, message: Mapping[str, Any]) -> None:
        self._reply(
            {
                "type": protocol.READY,
                "protocol": protocol.VERSION,
                "pid": os.getpid(),
                "host": platform.node(),
                "version": version("mcnb"),
                "memory": _memory(),
                "loaded": [resident.name for resident in self._runtime.cache.residents()],
            }
        )


def _memory() -> dict[str, int] | None:
    try:
        import psutil
    except ImportError:  # then no model can run here either, which the first run says
        return None
    from mcnb.models.memory import free_memory

    return {"total": int(psutil.virtual_memory().total), "free": free_memory()}
