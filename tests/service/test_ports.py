"""Ports that cannot be had are told in a sentence."""

from __future__ import annotations

import errno
import socket

import pytest

from mcnb.errors import ServerError
from mcnb.service import ports
from mcnb.service.endpoint import Place


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # tornado leaves its socket open
def test_any_free_port() -> None:
    place, sockets = ports.listen(Place("127.0.0.1", 0), "--port")
    try:
        assert place.port > 0
        socket.create_connection(("127.0.0.1", place.port)).close()
        with pytest.raises(ServerError, match=rf"port {place.port} of 127.0.0.1 is in use; choose another with --port"):
            ports.free(place, "--port")
    finally:
        ports.close(sockets)
    assert ports.free(place, "--port") == place


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.EADDRNOTAVAIL, ""), "'gpu-box' is not an address of this machine; choose one with --host"),
        (socket.gaierror(-2, ""), "'gpu-box' is not an address of this machine; choose one with --host"),
        (PermissionError(errno.EACCES, ""), "port 80 of gpu-box may not be used; choose one above 1023 with --port"),
        (OSError(errno.EIO, "broken"), "port 80 of gpu-box cannot be listened on: broken"),
    ],
)
def test_what_else_is_in_the_way(error: OSError, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr("tornado.netutil.bind_sockets", refuse)
    with pytest.raises(ServerError) as caught:
        ports.free(Place("gpu-box", 80), "--port")
    assert str(caught.value) == message
