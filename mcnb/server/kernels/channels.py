"""Channels: how messages get to one kernel and back, through its sockets or through a gateway."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, Protocol, TypeAlias

from mcnb.errors import KernelDiedError

Message: TypeAlias = dict[str, Any]

Sent: TypeAlias = Literal["shell", "control"]
"""The channels that we send on."""

Take: TypeAlias = Callable[[str, Message], None]
"""Gets each message, with the name of its channel: ``shell``, ``control`` or ``iopub``."""


class Channels(Protocol):
    """The channels to one kernel."""

    @property
    def failure(self) -> KernelDiedError | None:
        """Why no message comes or goes any more; None while they do, or may again."""

    async def open(self, take: Take) -> None:
        """Connect, and give every message that comes to `take` from then on.

        Raises
        ------
        KernelDiedError
            When there is no way to the kernel.
        """

    def send(self, channel: Sent, message: Message) -> None:
        """Send a message, without ever waiting.

        Raises
        ------
        Exception
            When the kernel takes nothing now: it is lost.
        """

    async def close(self) -> None:
        """Free everything; `take` gets nothing any more."""


def channels_of(client: Any) -> Channels:
    """Return the channels of a kernel.

    Parameters
    ----------
    client : jupyter_client.asynchronous.AsyncKernelClient
        Of the server's kernel manager; owned from now on.
    """
    from jupyter_server.gateway.managers import GatewayKernelClient

    if isinstance(client, GatewayKernelClient):
        from mcnb.server.kernels.web_socket import GatewayChannels

        return GatewayChannels(client.kernel_id, client.session.session)
    from mcnb.server.kernels.sockets import SocketChannels

    return SocketChannels(client)
