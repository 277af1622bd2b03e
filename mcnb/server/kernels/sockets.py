"""The sockets of a kernel that was started here, or by a provisioner: one reader each."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

from jupyter_core.utils import ensure_async

from mcnb.server.kernels.channels import Message, Sent, Take

REST = 0.01
"""Seconds after a message that could not be read."""


class SocketChannels:
    """ZeroMQ sockets, in the event loop; whether their other end lives, they cannot tell.

    Parameters
    ----------
    client : jupyter_client.asynchronous.AsyncKernelClient
        Of the kernel.
    """

    failure = None

    def __init__(self, client: Any) -> None:
        self._client = client
        self._tasks: list[asyncio.Task[None]] = []

    async def open(self, take: Take) -> None:
        """Connect the sockets and begin to read."""
        await ensure_async(self._client.start_channels(stdin=False, hb=False))
        self._tasks = [
            asyncio.create_task(self._read(name, take), name=f"mcnb-kernel-{name}")
            for name in ("shell", "control", "iopub")
        ]

    async def close(self) -> None:
        """Stop reading and close the sockets."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(Exception):
            self._client.stop_channels()

    def send(self, channel: Sent, message: Message) -> None:
        """Send without ever waiting: a stopped kernel must not stop the server with it.

        A channel's own send goes past its asynchronous socket, whose readiness to be read is told once: where a reply
        comes in that moment, its reader would never wake again. So the socket itself sends.
        """
        import zmq

        socket = getattr(self._client, f"{channel}_channel").socket
        sent: asyncio.Future[Any] = socket.send_multipart(self._client.session.serialize(message), flags=zmq.DONTWAIT)
        sent.result()  # it is done at once, or has failed

    async def _read(self, name: str, take: Take) -> None:
        channel = getattr(self._client, f"{name}_channel")
        while True:
            try:
                take(name, await ensure_async(channel.get_msg(timeout=None)))
            except asyncio.CancelledError:
                raise
            except Exception:  # a message that cannot be read must not keep the next one away
                logging.getLogger(__name__).exception("a message of a kernel could not be read")
                await asyncio.sleep(REST)
