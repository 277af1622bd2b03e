"""Answers to interrupted runs that are on their way to a kernel, and what it says to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from mcnb.errors import McnbError
from mcnb.kernel import protocol
from mcnb.kernel.sendable import sendable
from mcnb.runtime.interruption import KEPT

REPLY = 2.0
"""Seconds after which a message that wants a reply is sent again."""


class Resumes:
    """Sends answers until the kernel has replied to each.

    Parameters
    ----------
    send : callable
        Gets messages for the kernel's runtime.
    """

    def __init__(self, send: Callable[[Mapping[str, Any]], None]) -> None:
        self._send = send
        self._waiting: dict[tuple[str, int], asyncio.Future[McnbError | None]] = {}
        self._requests = 0

    async def ask(self, run_id: str, answer: Any) -> None:
        """Send an answer, and wait for what the kernel says to it.

        Parameters
        ----------
        run_id : str
            The run that waits for it.
        answer : Any
            Replaces the interruption's value; ``KEPT`` leaves that as it is.

        Raises
        ------
        McnbError
            What the kernel refused it with, or why it will say nothing any more.
        """
        self._requests += 1
        key = run_id, self._requests
        message = {"type": protocol.RESUME, "id": run_id, "request": self._requests}
        if answer is not KEPT:
            message["answer"] = sendable(answer)
        self._waiting[key] = reply = asyncio.get_running_loop().create_future()
        try:
            while not reply.done():
                self._send(message)
                await asyncio.wait({reply}, timeout=REPLY)
        finally:
            del self._waiting[key]
        if error := reply.result():
            raise error

    def settle(self, run_id: str, request: int, error: McnbError | None) -> None:
        """Take the reply to one answer."""
        _tell(self._waiting.get((run_id, request)), error)

    def end(self, error: McnbError, run_id: str | None = None) -> None:
        """Tell all who wait, or those of one run, that there will be no reply."""
        for (waiting, _), future in self._waiting.items():
            if run_id is None or waiting == run_id:
                _tell(future, error)


def _tell(future: asyncio.Future[McnbError | None] | None, error: McnbError | None) -> None:
    if future is not None and not future.done():
        future.set_result(error)
