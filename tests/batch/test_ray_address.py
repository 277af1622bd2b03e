"""What an address of a Ray cluster may say, who listens there, and what is said of those who do not let us in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mcnb.batch.on_ray import OnRay, address
from mcnb.batch.on_ray.address import Address
from mcnb.batch.on_ray.refusal import refusal
from mcnb.errors import InvalidInputError, McnbError
from tests.batch.conftest import ray_or_skip


@pytest.fixture(autouse=True)
def no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)


@pytest.mark.parametrize(
    ("text", "found", "again"),
    [
        ("ray://head:10001", Address("head", 10001, client=True), "ray://head:10001"),
        ("ray://head", Address("head", 10001, client=True), "ray://head:10001"),
        ("head.example:6379", Address("head.example", 6379, client=False), "head.example:6379"),
        ("[::1]:6379", Address("::1", 6379, client=False), "[::1]:6379"),
        ("ray://[::1]:1", Address("::1", 1, client=True), "ray://[::1]:1"),
    ],
)
def test_addresses(text: str, found: Address, again: str) -> None:
    assert Address.parse(text) == found
    assert str(Address.parse(text)) == again


def test_auto_is_what_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Address.parse("auto") is None
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:7")
    assert Address.parse("auto") == Address("head", 7, client=True)
    monkeypatch.setenv("RAY_ADDRESS", "head")
    with pytest.raises(InvalidInputError, match="'head', which RAY_ADDRESS says, is no address"):
        Address.parse("auto")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("head", "it is auto or HOST:PORT on a machine of the cluster, ray://HOST:PORT on any other"),
        ("", "no address of a Ray cluster"),
        ("ray://", "no address of a Ray cluster"),
        ("head:port", "no address of a Ray cluster"),
        ("head:99999", "no address of a Ray cluster"),
        ("head:6379/x", "no address of a Ray cluster"),
        ("ray://me@head:1", "no address of a Ray cluster"),
        ("redis://head:6379", "no address of a Ray cluster"),
        ("http://head:8265", "on a machine of the cluster with --address auto"),
        ("local", "leave it out"),
    ],
)
def test_what_is_no_address(text: str, told: str) -> None:
    with pytest.raises(InvalidInputError, match=told):
        Address.parse(text)


class _Polite(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return None


@pytest.fixture
def web() -> Iterator[int]:
    """The port of a web server."""
    with HTTPServer(("127.0.0.1", 0), _Polite) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of one that takes connections, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.parametrize("form", ["ray://127.0.0.1:{}", "127.0.0.1:{}"])
def test_nobody_and_somebody_else(form: str, web: int, mute: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray_or_skip(), "is_initialized", lambda: False)  # whatever other tests are connected to
    monkeypatch.setattr(address, "_PATIENCE", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = form.format(listener.getsockname()[1])
    with pytest.raises(McnbError, match=f"nobody answers at {free} .Connection refused.; see on the cluster's head"):
        OnRay(address=free)
    for port in (web, mute):
        with pytest.raises(McnbError, match=f"what answers at {form.format(port)} is no Ray; see on"):
            OnRay(address=form.format(port))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (socket.gaierror(-2, "Name or service not known"), "there is no machine of that name"),
        (TimeoutError("timed out"), "no answer within 5 s"),
        (OSError(113, "No route to host"), "No route to host"),
    ],
)
def test_why_nobody_answers(error: OSError, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(socket, "create_connection", fail)
    with pytest.raises(McnbError, match=f"nobody answers at ray://head:1 .{told}.; see on"):
        Address("head", 1, client=True).call()


def test_a_long_answer_is_cut() -> None:
    found = refusal("it cannot be reached", ConnectionError("a\n b " * 200), "", "look")
    assert str(found).startswith("it cannot be reached (a b a b")
    assert str(found).endswith("…); look")
    assert len(str(found)) < 400
    assert str(refusal("no", ConnectionError("timeout"), "the other\nside", "look")) == "no (the other side); look"
