"""Fixtures for the tests of the client: a stand-in server, and what is connected to it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from mcnb.client import RemoteCompose, connect
from mcnb.runtime import Compose
from tests.client.stand_in_server import TOKEN, Served, StandInServer
from tests.support.runs import compose, gate, home, models, own_threads, runtime  # noqa: F401

Serve = Callable[..., StandInServer]
Connect = Callable[..., RemoteCompose]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serve compose files: ``serve(compose)``, or ``serve(one=compose, two=...)``."""
    with ExitStack() as stack:

        def make(*composes: Compose, **options: Any) -> StandInServer:
            offers = {
                workflow.id: Served(item, workflow.id, workflow.default)
                for item in composes
                for workflow in item.document.workflows
            }
            return stack.enter_context(StandInServer(options.pop("offers", offers), **options))

        yield make


@pytest.fixture
def connected(serve: Serve) -> Iterator[Connect]:
    """Connect to a stand-in server, without pauses between attempts; no thread of it stays."""
    before = own_threads()
    made: list[RemoteCompose] = []

    def make(server: StandInServer, **options: Any) -> RemoteCompose:
        found = connect(server.url, **{"token": TOKEN, **options})
        found._server.pause = lambda _: None
        made.append(found)
        return found

    yield make
    for item in made:
        item.close()
    left = {thread for thread in own_threads() - before if thread.name.startswith("mcnb-remote")}
    for thread in left:
        thread.join(60)
    assert not [thread for thread in left if thread.is_alive()], threading.enumerate()
