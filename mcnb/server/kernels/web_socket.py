"""The web socket to a kernel behind a gateway: kept alive, and made again when it is lost."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from mcnb.errors import KernelDiedError
from mcnb.server.kernels.channels import Message, Sent, Take

if TYPE_CHECKING:
    from tornado.httpclient import HTTPRequest
    from tornado.websocket import WebSocketClientConnection

PING = 5.0
"""Seconds between two signs of life, and until one is missed: a link that is cut closes nothing."""

CONNECTING = 5.0
"""Seconds, at most, until a gateway takes a connection."""

AGAIN = 1.0
"""Seconds between two attempts."""

PATIENCE = 10.0
"""Seconds of attempts after which the kernel is given up; it is still tried, for a run that comes later."""

MOST_UNSENT = 1000
"""Messages that wait for the web socket to come back."""

LARGEST = 2**30
"""Bytes of a message."""


class GatewayChannels:
    """All channels to a kernel in one web socket, which may be lost and come back: the kernel goes on meanwhile.

    The client that Jupyter has for this waits for its connection, with the whole server, and carries no token.

    Parameters
    ----------
    kernel_id : str
        The kernel, as the gateway knows it.
    session_id : str
        A name that nobody else has: by it, the gateway sends again what came while the web socket was lost.
    """

    def __init__(self, kernel_id: str, session_id: str) -> None:
        self._kernel_id = kernel_id
        self._session_id = session_id
        self._socket: WebSocketClientConnection | None = None
        self._unsent: deque[str] = deque(maxlen=MOST_UNSENT)
        self._keeping: asyncio.Task[None] | None = None
        self._lost: float | None = None
        self._why = ""
        self._refused: KernelDiedError | None = None

    @property
    def failure(self) -> KernelDiedError | None:
        """Why the kernel is given up: the gateway does not have it any more, or takes no connection for a while."""
        if self._refused is not None:
            return self._refused
        if self._lost is not None and _now() - self._lost > PATIENCE:
            return KernelDiedError(f"the connection to the kernel behind the gateway is lost ({self._why})")
        return None

    async def open(self, take: Take) -> None:
        """Connect and begin to read."""
        self._lost = _now()
        await self._connect()
        if self.failure is not None:
            raise self.failure
        self._keeping = asyncio.create_task(self._keep(take), name="mcnb-kernel-web-socket")

    async def close(self) -> None:
        """Close the web socket."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if self._socket is not None:
            self._socket.close()

    def send(self, channel: Sent, message: Message) -> None:
        """Send a message, or keep it until the web socket is back."""
        from jupyter_client.jsonutil import json_default

        self._write(json.dumps({**message, "channel": channel}, default=json_default))

    def _write(self, text: str) -> None:
        from tornado.websocket import WebSocketClosedError

        if self._socket is not None and self._lost is None:
            try:
                asyncio.ensure_future(self._socket.write_message(text)).add_done_callback(_heard)
            except WebSocketClosedError:
                pass  # its reader is about to notice
            else:
                return
        self._unsent.append(text)

    async def _keep(self, take: Take) -> None:
        """Read until the web socket is lost, and get it back."""
        log = logging.getLogger(__name__)
        while self._socket is not None:
            await self._read(self._socket, take)
            self._lost, self._why = _now(), "it was closed"
            self._socket.close()
            log.warning("the connection to kernel %s is lost", self._kernel_id)
            await self._connect()
            if self._refused is not None:
                return
            log.warning("the connection to kernel %s is back", self._kernel_id)

    async def _connect(self) -> None:
        """Make the web socket; return once it is there, or refused for good, or it is given up while nobody reads."""
        from tornado.httpclient import HTTPClientError

        while True:
            try:
                self._socket = await _connected(self._request())
            except HTTPClientError as error:
                self._why = f"{error.code}: {error.message}"
                if 400 <= error.code < 500:
                    self._refused = KernelDiedError(f"the gateway does not lead to the kernel ({self._why})")
                    return
            except Exception as error:  # whatever keeps a connection from being made
                self._why = str(error) or type(error).__name__
            else:
                self._lost = None
                unsent, self._unsent = self._unsent, deque(maxlen=MOST_UNSENT)
                for text in unsent:
                    self._write(text)
                return
            if self._keeping is None and self.failure is not None:
                return
            await asyncio.sleep(AGAIN)

    def _request(self) -> HTTPRequest:
        """Return what the web socket is asked for with: the token, the certificates and the rest of the settings."""
        from jupyter_server.gateway.gateway_client import GatewayClient
        from jupyter_server.utils import url_path_join
        from tornado.escape import url_escape
        from tornado.httpclient import HTTPRequest

        gateway = GatewayClient.instance()
        path = url_path_join(gateway.kernels_endpoint, url_escape(self._kernel_id), "channels")
        settings = gateway.load_connection_args()  # type: ignore[no-untyped-call]
        settings["connect_timeout"] = min(CONNECTING, settings["connect_timeout"])
        return HTTPRequest(f"{url_path_join(gateway.ws_url or '', path)}?session_id={self._session_id}", **settings)

    async def _read(self, socket: WebSocketClientConnection, take: Take) -> None:
        """Read until the web socket is closed."""
        while (text := await socket.read_message()) is not None:
            if isinstance(text, bytes):
                continue  # a widget's picture or the like, of the notebook whose kernel it is
            try:
                message = json.loads(text)
                take(message["channel"], message)
            except Exception:  # a message that cannot be read must not keep the next one away
                logging.getLogger(__name__).exception("a message of a kernel could not be read")


async def _connected(request: HTTPRequest) -> WebSocketClientConnection:
    from tornado.websocket import websocket_connect

    connecting = asyncio.ensure_future(
        websocket_connect(request, ping_interval=PING, ping_timeout=PING, max_message_size=LARGEST)
    )
    try:
        return await asyncio.shield(connecting)
    except asyncio.CancelledError:
        connecting.add_done_callback(_unwanted)
        raise


def _unwanted(connecting: asyncio.Future[WebSocketClientConnection]) -> None:
    """Close a connection that is made when nobody waits for it any more."""
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result().close()


def _heard(written: asyncio.Future[Any]) -> None:
    """Take why a message could not be written: the reader finds that the web socket is lost."""
    if not written.cancelled():
        written.exception()


def _now() -> float:
    return asyncio.get_running_loop().time()
