"""Fixtures for all tests: nobody reaches another machine; a zoo of tiny models, and a stand-in Hub that serves it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.support.hub import StandInHub

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"  # read when the library is imported
os.environ["RAY_AUTH_MODE"], os.environ["RAY_AUTH_TOKEN"] = "token", secrets.token_hex(16)  # as are these

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as shells have it for what they start in the background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # the commands that tests interrupt would inherit it

OURS = ("127.0.0.1", "localhost", "::1", "0.0.0.0", "", None)


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that looks up or would reach any other machine, even where a library hides that it tried."""
    look_up = socket.getaddrinfo
    reached: list[Any] = []

    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in OURS:
            reached.append(host)
            raise OSError(f"a test may not reach {host}")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    yield
    assert not reached


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root folder of a zoo."""
    from tests.support.zoo import build_zoo

    root = tmp_path_factory.mktemp("zoo")
    build_zoo(root)
    return root


@pytest.fixture
def hub(zoo: Path) -> Iterator[StandInHub]:
    """A stand-in Hub that serves the zoo."""
    import huggingface_hub

    from tests.support.hub import StandInHub

    with StandInHub(zoo) as running:
        yield running
    huggingface_hub.close_session()  # its pool holds connections to a server that is gone
