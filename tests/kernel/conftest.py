"""Fixtures for tests of the host: a runtime of its own, and a comm whose other end is the test."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcnb.compose import Document, load_document
from mcnb.kernel.host import Host
from mcnb.runtime import Runtime
from tests.support.runs import FIRST_LINE, document, gate, home, models, own_threads, runtime, taken  # noqa: F401

PATIENCE = 60


class Server:
    """The other end of a comm: sends what a server sends, and keeps what it gets."""

    def __init__(self, host: Host, owner: str = "store-1", name: str = "comm-1") -> None:
        self.comm_id = name
        self.sent: list[dict[str, Any]] = []
        self.rounds = 0
        self._changed = threading.Condition()
        self._closed: Callable[[Any], None] | None = None
        self.handle_msg: Callable[[Any], None]
        host.opened(self, {"content": {"comm_id": name, "data": {"owner": owner, "version": 1}}})

    def on_close(self, callback: Callable[[Any], None]) -> None:
        self._closed = callback

    def send(self, message: dict[str, Any]) -> None:
        """What the host calls."""
        with self._changed:
            assert message["type"] == "round"
            self.rounds += 1
            self.sent += json.loads(json.dumps(message["messages"], allow_nan=False))
            self._changed.notify_all()

    def close(self) -> None:
        assert self._closed is not None
        self._closed({})

    def tell(self, kind: Any, **message: Any) -> None:
        self.handle_msg({"content": {"comm_id": self.comm_id, "data": {"type": kind, **message}}})

    def tell_anything(self, data: Any) -> None:
        self.handle_msg({"content": {"comm_id": self.comm_id, "data": data}})

    def run(self, run_id: str, loaded: Document, **message: Any) -> None:
        said = {
            "digest": loaded.digest,
            "source": loaded.source,
            "folder": str(loaded.folder),
            "files": list(loaded.files),
            "env": dict(loaded.env),
        }
        asked = {"workflow": loaded.workflow().id, "input": {"prompt": FIRST_LINE}, "seed": 7, **message}
        self.tell("run", id=run_id, document=said, **asked)

    def until(self, holds: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """Wait for a message, from the first one on."""
        end = time.monotonic() + PATIENCE
        with self._changed:
            while True:
                for message in self.sent:
                    if holds(message):
                        return message
                assert self._changed.wait(end - time.monotonic()), [message["type"] for message in self.sent]

    def ended(self, run_id: str) -> dict[str, Any]:
        message = self.until(lambda message: message["type"] == "events" and message["id"] == run_id and ended(message))
        return message["finished"]

    def of(self, run_id: str) -> list[dict[str, Any]]:
        return [message for message in self.sent if message["type"] == "events" and message["id"] == run_id]

    def reply(self, kind: str) -> dict[str, Any]:
        return self.until(lambda message: message["type"] == kind)


def ended(message: dict[str, Any]) -> bool:
    return "finished" in message


def text_of(messages: list[dict[str, Any]]) -> str:
    events = [event for message in messages for event in message["events"]]
    return "".join(event["text"] for event in events if event["type"] == "token")


@pytest.fixture
def make_host(runtime: Runtime) -> Iterator[Callable[..., Host]]:  # noqa: F811
    """Hosts of the test's runtime; their threads end with the test."""
    made: list[Host] = []

    def make(**options: Any) -> Host:
        made.append(Host(runtime, **options))
        return made[-1]

    yield make
    for host in made:
        host.close()
    assert not [thread for thread in own_threads() if thread.name.startswith("mcnb-kernel")]


@pytest.fixture
def host(make_host: Callable[..., Host]) -> Host:
    return make_host()


@pytest.fixture
def server(host: Host) -> Server:
    return Server(host)


def loaded(model: Path | str, **action: Any) -> Document:
    return load_document(text=document(model, **action))
