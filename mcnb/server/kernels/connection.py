"""The channels to a kernel: one reader each, which routes what comes to who waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import uuid
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from jupyter_core.utils import ensure_async

Channel: TypeAlias = Literal["shell", "control"]
Message: TypeAlias = dict[str, Any]

POLL = 0.01
"""Seconds between two looks at a channel that cannot be awaited."""


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
        self._client = client
        # All clients of one manager have its name, and the kernel gives the replies to the latest of a name: ours would
        # be taken away from whoever else talks to the kernel.
        client.session.session = uuid.uuid4().hex
        self._tasks: list[asyncio.Task[None]] = []
        self._replies: dict[str, asyncio.Future[Message]] = {}
        self._idles: dict[str, asyncio.Future[Message]] = {}
        self.subscribed = asyncio.Event()
        self.routes: dict[str, Callable[[Any], None]] = {}

    async def open(self) -> None:
        """Connect the channels and begin to read."""
        await ensure_async(self._client.start_channels(stdin=False, hb=False))
        takers = {"shell": self._take_reply, "control": self._take_reply, "iopub": self._take_publication}
        self._tasks = [
            asyncio.create_task(self._read(getattr(self._client, f"{name}_channel"), take), name=f"mcnb-kernel-{name}")
            for name, take in takers.items()
        ]

    async def close(self) -> None:
        """Stop reading and free the channels. Who waits for a reply is cancelled."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for waiting in (self._replies, self._idles):
            for future in waiting.values():
                future.cancel()
        self.routes.clear()
        with contextlib.suppress(Exception):  # a gateway's connection may be gone already
            self._client.stop_channels()

    def send(self, channel: Channel, kind: str, content: Message, *, subshell: str | None = None) -> str:
        """Send a message and return its id. When the kernel takes nothing any more, the message is lost."""
        message = self._client.session.msg(kind, content)
        message["channel"] = channel  # a gateway goes by this
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        try:
            self._put(getattr(self._client, f"{channel}_channel"), message)
        except Exception:  # its queue is full, or its connection gone: what matters is asked for again
            logging.getLogger(__name__).warning("a %s for a kernel could not be sent", kind, exc_info=True)
        return str(message["header"]["msg_id"])

    def _put(self, channel: Any, message: Message) -> None:
        """Send without ever waiting: a stopped kernel must not stop the server with it.

        A channel's own send goes past its asynchronous socket, whose readiness to be read is told once: where a reply
        comes in that moment, its reader would never wake again. So the socket itself sends.
        """
        socket = getattr(channel, "socket", None)
        if socket is None or not hasattr(socket, "send_multipart"):  # a gateway's
            channel.send(message)
            return
        import zmq

        sent: asyncio.Future[Any] = socket.send_multipart(self._client.session.serialize(message), flags=zmq.DONTWAIT)
        sent.result()  # it is done at once, or has failed

    async def request(self, channel: Channel, kind: str, content: Message, *, subshell: str | None = None) -> Message:
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

    async def _read(self, channel: Any, take: Callable[[Message], None]) -> None:
        while True:
            try:
                take(await _next_message(channel))
            except asyncio.CancelledError:
                raise
            except Exception:  # a message that cannot be read must not keep the next one away
                logging.getLogger(__name__).exception("a message of a kernel could not be read")
                await asyncio.sleep(POLL)

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


async def _next_message(channel: Any) -> Message:
    """Wait for a channel's next message. A gateway's is a queue filled by a thread, whose own wait never rests."""
    if not isinstance(channel, queue.Queue):
        found: Message = await ensure_async(channel.get_msg(timeout=None))
        return found
    while True:
        with contextlib.suppress(queue.Empty):
            message: Message = channel.get_nowait()
            return message
        await asyncio.sleep(POLL)
