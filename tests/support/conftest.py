"""Fixtures for the tests of the test support itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from .hub import StandInHub


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fail a test that looks up or would reach any other machine, even where a library hides that it tried."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_TELEMETRY", True)
    look_up = socket.getaddrinfo
    reached: list[str] = []

    def guarded(host: Any, *args: Any, **options: Any) -> Any:
        if host not in ("127.0.0.1", "localhost"):
            reached.append(host)
            raise OSError(f"a test may not reach {host}")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", guarded)
    yield
    assert not reached


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root folder of a zoo."""
    from .zoo import build_zoo

    root = tmp_path_factory.mktemp("zoo")
    build_zoo(root)
    return root


@pytest.fixture
def hub(zoo: Path) -> Iterator[StandInHub]:
    """A stand-in Hub that serves the zoo."""
    with StandInHub(zoo) as running:
        yield running
    huggingface_hub.close_session()  # its pool holds connections to a server that is gone
