"""The connection to a kernel: what comes is routed to who waits for it."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable
from typing import Any

from mcnb.errors import KernelDiedError
from mcnb.server.kernels.channels import Message, Sent, channels_of


class Connection:
    """Talks to one kernel, whatever provisioner or gateway has placed it.

    Parameters
    ----------
    client : jupyter_client.asynchronous.AsyncKernelClient
        Of the server's kernel manager; owned from now on.

    Attributes
    ----------
    subscribed : asyncio.Event
        Set when the kernel's publications arrive.
    routes : dict
        By comm id: what gets the data of its messages; None when the kernel has closed it.
    """

    def __init__(self, client: Any) -> None:
        # All clients of one manager have its name, and the kernel gives the replies to the latest of a name: ours would
        # be taken away from whoever else talks to the kernel.
        client.session.session = uuid.uuid4().hex
        self._session = client.session
        self._channels = channels_of(client)
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._idles: dict[str, asyncio.Future[Message]] = {}
        self.subscribed = asyncio.Event()
        self.routes: dict[str, Callable[[Any], None]] = {}

    @property
    def failure(self) -> KernelDiedError | None:
        """Why the kernel cannot be reached any more; None where it can, or nobody can say yet."""
        return self._channels.failure

    async def open(self) -> None:
        """Connect the channels and begin to read.

        Raises
        ------
        KernelDiedError
            When there is no way to the kernel.
        """
        await self._channels.open(self._take)

    async def close(self) -> None:
        """Stop reading and free the channels. Who waits for a reply is cancelled."""
        await self._channels.close()
        for waiting in (self._replies, self._idles):
            for future in waiting.values():
                future.cancel()
        self.routes.clear()

    def send(self, channel: Sent, kind: str, content: Message, *, subshell: str | None = None) -> str:
        """Send a message and return its id. When the kernel takes nothing any more, the message is lost."""
        message = self._session.msg(kind, content)
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        try:
            self._channels.send(channel, message)
        except Exception:  # its queue is full: what matters is asked for again
            logging.getLogger(__name__).warning("a %s for a kernel could not be sent", kind, exc_info=True)
        return str(message["header"]["msg_id"])

    async def request(self, channel: Sent, kind: str, content: Message, *, subshell: str | None = None) -> Message:
        """Send a request and return the content of its reply."""
        return await self._answer(self._replies, self.send(channel, kind, content, subshell=subshell))

    async def handled(self, kind: str, content: Message, *, subshell: str | None = None) -> None:
        """Send a message that has no reply, and wait until the kernel has handled it."""
        await self._answer(self._idles, self.send("shell", kind, content, subshell=subshell))

    async def _answer(self, waiting: dict[str, asyncio.Future[Message]], message_id: str) -> Message:
        future: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        waiting[message_id] = future
        try:
            return await future
        finally:
            waiting.pop(message_id, None)

    def _take(self, channel: str, message: Message) -> None:
        if channel == "iopub":
            self._take_publication(message)
        else:
            self._take_reply(message)

    def _take_reply(self, message: Message) -> None:
        future = self._replies.get(_parent(message))
        if future is not None and not future.done():
            future.set_result(message["content"])

    def _take_publication(self, message: Message) -> None:
        self.subscribed.set()
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "comm_msg":
            if route := self.routes.get(content.get("comm_id")):
                route(content.get("data"))
        elif kind == "comm_close":
            if route := self.routes.pop(content.get("comm_id"), None):
                route(None)
        elif kind == "status" and content.get("execution_state") == "idle":
            future = self._idles.get(_parent(message))
            if future is not None and not future.done():
                future.set_result(content)


def _parent(message: Message) -> str:
    return str((message.get("parent_header") or {}).get("msg_id"))
