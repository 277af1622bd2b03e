"""A server on one host and a kernel gateway on another, with a link between them that can be cut."""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from tests.support.hosts import Hosts

from .gateway_process import GatewayProcess
from .server_process import ServerProcess

HERE, THERE = 0, 1
"""The hosts: the server's and the gateway's."""

PORT = 8888
"""The gateway's; its host has nobody else's."""

_NETWORK = 0x40000000
"""CLONE_NEWNET: the namespace that is entered is one of networks."""


class FarHost:
    """What there is on the two hosts.

    Attributes
    ----------
    server : ServerProcess
        Here; so is whoever asks it.
    gateway : GatewayProcess
        There.
    folder : Path
        Here it holds the document, there the models.
    """

    def __init__(self, hosts: Hosts, folder: Path, document: Path, environment: Mapping[str, str]) -> None:
        self._hosts = hosts
        self.folder = document.parent
        address, launch = hosts.addresses[THERE], partial(hosts.start, THERE)
        self.gateway = GatewayProcess(folder / "gateway", address=address, port=PORT, launch=launch)
        access = {**self.gateway.access, **environment}
        self.server = ServerProcess(folder / "server", [document], environment=access)

    def cut(self) -> None:
        """Cut the link."""
        self._hosts.cut(THERE)

    def mend(self) -> None:
        """Mend it."""
        self._hosts.mend(THERE)


@contextlib.contextmanager
def far_host(folder: Path, document: Path, **environment: str) -> Iterator[FarHost]:
    """Start a gateway there, a server here, with further environment variables, and be here meanwhile.

    The models beside the document are moved there: the server's host has the document alone.
    """
    with Hosts(own=[document.parent]) as hosts, _on(hosts, HERE):
        _move(hosts, document.parent, folder / "models")
        made = FarHost(hosts, folder, document, environment)
        with made.gateway, made.server:
            yield made


def _move(hosts: Hosts, folder: Path, by_way_of: Path) -> None:
    """Move the folders within a folder to the same place there."""
    by_way_of.mkdir()
    for inner in [path for path in folder.iterdir() if path.is_dir()]:
        inner.rename(by_way_of / inner.name)
    copying = hosts.start(THERE, ["cp", "-r", f"{by_way_of}/.", str(folder)])
    assert copying.wait() == 0


@contextlib.contextmanager
def _on(hosts: Hosts, number: int) -> Iterator[None]:
    """Let this thread be on a host: it reaches the host's 127.0.0.1, and processes that it starts are there."""
    name = hosts.inside(number)[3]
    with Path("/proc/thread-self/ns/net").open() as outside, Path("/run/netns", name).open() as inside:
        _enter(inside.fileno())
        try:
            yield
        finally:
            _enter(outside.fileno())


def _enter(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _NETWORK) != 0:
        raise OSError(ctypes.get_errno(), "the host cannot be entered")
