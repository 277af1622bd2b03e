"""The web socket to a kernel behind a gateway, with a gateway of a few lines: lost, refused, given up, back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from jupyter_server.gateway.gateway_client import GatewayClient
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler

from mcnb.errors import KernelDiedError
from mcnb.server.kernels import web_socket
from mcnb.server.kernels.web_socket import GatewayChannels

PATIENCE = 30
TOKEN = "secret"


class Gateway:
    """Takes web sockets that carry its token, until it is told otherwise.

    Attributes
    ----------
    status : int or None
        What it answers in place of taking one.
    sessions : list of str
        Those that were named with the web sockets that it took.
    heard : list of dict
        Messages.
    """

    def __init__(self) -> None:
        self.status: int | None = None
        self.sessions: list[str] = []
        self.heard: list[dict[str, Any]] = []
        self._open: set[Handler] = set()
        self._server = HTTPServer(Application([("/api/kernels/k1/channels", Handler, {"gateway": self})]))
        listening = bind_sockets(0, "127.0.0.1")
        self._server.add_sockets(listening)
        self.url = f"http://127.0.0.1:{listening[0].getsockname()[1]}"

    def say(self, message: dict[str, Any] | bytes | str) -> None:
        for handler in self._open:
            data = json.dumps(message) if isinstance(message, dict) else message
            handler.write_message(data, binary=isinstance(data, bytes))

    def lose(self) -> None:
        """Lose the web sockets without a word."""
        for handler in list(self._open):
            handler.ws_connection.stream.close()  # type: ignore[union-attr]

    async def close(self) -> None:
        self.lose()
        self._server.stop()
        await self._server.close_all_connections()


class Handler(WebSocketHandler):
    def initialize(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def prepare(self) -> None:
        if self.request.headers.get("Authorization") != f"token {TOKEN}":
            self.send_error(401)
        elif self._gateway.status is not None:
            self.send_error(self._gateway.status)

    def open(self) -> None:
        self._gateway.sessions.append(self.get_argument("session_id"))
        self._gateway._open.add(self)

    def on_message(self, message: str | bytes) -> None:
        self._gateway.heard.append(json.loads(message))

    def on_close(self) -> None:
        self._gateway._open.discard(self)


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Run a scenario with a gateway and the channels of a kernel behind it."""
    monkeypatch.setattr(web_socket, "AGAIN", 0.01)

    def run(scenario: Callable[[Gateway, GatewayChannels], Coroutine[Any, Any, None]], token: str = TOKEN) -> None:
        async def whole() -> None:
            gateway = Gateway()
            GatewayClient.instance(url=gateway.url, auth_token=token)
            channels = GatewayChannels("k1", "s1")
            try:
                await asyncio.wait_for(scenario(gateway, channels), PATIENCE)
            finally:
                await channels.close()
                await gateway.close()

        asyncio.run(whole())

    GatewayClient.clear_instance()
    yield run
    GatewayClient.clear_instance()


async def until(holds: Callable[[], object]) -> None:
    while not holds():  # noqa: ASYNC110
        await asyncio.sleep(0.005)


def test_messages_go_and_come(connected: Callable[..., None]) -> None:
    async def scenario(gateway: Gateway, channels: GatewayChannels) -> None:
        told: list[Any] = []

        def take(channel: str, message: Any) -> None:
            told.append((channel, message["content"]))
            if message["content"] == "bad":
                raise ValueError

        await channels.open(take)
        channels.send("control", {"header": {"msg_id": "1"}, "content": {}})
        channels.send("shell", {"header": {"msg_id": "2"}, "content": {}})
        await until(lambda: len(gateway.heard) == 2)
        heard = [(said["channel"], said["header"]["msg_id"]) for said in gateway.heard]
        assert heard == [("control", "1"), ("shell", "2")]
        gateway.say({"channel": "iopub", "content": "bad"})
        gateway.say(b"a picture")
        gateway.say("no JSON")
        gateway.say({"channel": "shell", "content": 2})
        await until(lambda: len(told) == 2)
        assert told == [("iopub", "bad"), ("shell", 2)]

    connected(scenario)


def test_one_that_is_lost_is_made_again_under_the_same_name(connected: Callable[..., None]) -> None:
    async def scenario(gateway: Gateway, channels: GatewayChannels) -> None:
        told: list[Any] = []
        await channels.open(lambda channel, message: told.append(message["content"]))
        gateway.status = 503
        gateway.lose()
        await until(lambda: channels._lost is not None)
        for number in (1, 2):
            channels.send("shell", {"content": number})
        assert channels.failure is None
        gateway.status = None
        await until(lambda: len(gateway.sessions) == 2)
        await until(lambda: channels._lost is None)
        gateway.say({"channel": "iopub", "content": 1})
        await until(lambda: told)
        assert gateway.sessions == ["s1", "s1"]
        await until(lambda: len(gateway.heard) == 2)
        assert [said["content"] for said in gateway.heard] == [1, 2], "what could not be sent is sent now"

    connected(scenario)


def test_a_kernel_is_given_up_after_a_while_and_may_come_back(
    connected: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_socket, "PATIENCE", 0.05)

    async def scenario(gateway: Gateway, channels: GatewayChannels) -> None:
        await channels.open(lambda *_: None)
        gateway.status = 503
        gateway.lose()
        await until(lambda: channels.failure)
        assert channels.failure is not None
        assert "503" in channels.failure.message
        gateway.status = None
        await until(lambda: channels.failure is None)

    connected(scenario)


@pytest.mark.parametrize("status", [403, 404])
def test_what_the_gateway_refuses_is_over_at_once(connected: Callable[..., None], status: int) -> None:
    async def scenario(gateway: Gateway, channels: GatewayChannels) -> None:
        await channels.open(lambda *_: None)
        gateway.status = status
        gateway.lose()
        await until(lambda: channels.failure)
        assert channels.failure is not None
        assert str(status) in channels.failure.message

    connected(scenario)


def test_no_way_to_the_kernel(connected: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_socket, "PATIENCE", 0.05)

    async def refused(gateway: Gateway, channels: GatewayChannels) -> None:
        with pytest.raises(KernelDiedError, match="401"):
            await channels.open(lambda *_: None)

    async def away(gateway: Gateway, channels: GatewayChannels) -> None:
        await gateway.close()
        with pytest.raises(KernelDiedError, match="is lost"):
            await channels.open(lambda *_: None)

    connected(refused, token="another")
    GatewayClient.clear_instance()
    connected(away)


def test_who_leaves_while_it_connects_leaves_no_connection(connected: Callable[..., None]) -> None:
    async def scenario(gateway: Gateway, channels: GatewayChannels) -> None:
        opening = asyncio.create_task(channels.open(lambda *_: None))
        await asyncio.sleep(0)
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        await until(lambda: gateway.sessions)
        await until(lambda: not gateway._open)

    connected(scenario)
