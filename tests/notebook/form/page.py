"""What a browser would make of a form's messages: its traits, its streamed text."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from comm.base_comm import BaseComm, CommManager

PATIENCE = 60
"""Seconds after which a test gives up."""


class Page:
    """The browser's side of one widget.

    Attributes
    ----------
    state : dict
        The traits.
    messages : list of dict
        The custom messages, in order.
    updates : list of dict
        The trait updates, in order.
    size : int
        Characters of JSON that came since the widget was opened.
    gaps : list of dict
        News that did not follow the one before.
    """

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = dict(state)
        self.messages: list[dict[str, Any]] = []
        self.updates: list[dict[str, Any]] = []
        self.size = 0
        self.gaps: list[dict[str, Any]] = []
        self.closed = False
        self._stream: dict[str, Any] = {"run": "", "sequence": 0, "text": ""}
        self._changed = threading.Condition()

    @property
    def run(self) -> str:
        """The id of the shown run."""
        return str(self.state["shown"].get("run", ""))

    @property
    def text(self) -> str:
        """What the output view shows."""
        if self.state["shown"].get("done"):
            return str(self.state["text"])
        return str(self._stream["text"]) if self._stream["run"] == self.run else ""

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the custom messages of a type."""
        return [message for message in list(self.messages) if message["type"] == kind]

    def wait(self, predicate: Callable[[], Any], what: str = "") -> None:
        """Wait until something holds, which a message has to bring about."""
        with self._changed:
            assert self._changed.wait_for(predicate, PATIENCE), f"the browser was never told: {what}"

    def wait_done(self, run: str) -> None:
        """Wait until the history says that a run is done."""
        self.wait(
            lambda: any(entry["done"] for entry in self.state["history"] if entry["run"] == run), f"{run} is done"
        )

    def receive(self, kind: str, data: dict[str, Any] | None) -> None:
        """Take in a message of the kernel."""
        text = json.dumps(data)  # as the wire has it: anything else is an error
        content = json.loads(text)
        with self._changed:
            self.size += len(text)
            if kind == "comm_close":
                self.closed = True
            elif content["method"] == "update":
                self.updates.append(content["state"])
                self.state.update(content["state"])
            elif content["method"] == "custom":
                self.messages.append(content["content"])
                self._read(content["content"])
            self._changed.notify_all()

    def _read(self, message: dict[str, Any]) -> None:
        """Follow the stream as output.js does."""
        if message["type"] == "whole":
            self._stream = {name: message[name] for name in ("run", "sequence", "text")}
        elif message["type"] == "news" and message["run"] == self._stream["run"] and "text" in message:
            if message["sequence"] != self._stream["sequence"] + 1:
                self.gaps.append(message)
            self._stream["sequence"] = message["sequence"]
            self._stream["text"] += message["text"]


class Wire:
    """Takes the place of the kernel's comms.

    Attributes
    ----------
    pages : dict
        By the id of the widget.
    manager : CommManager
        Knows the open comms.
    """

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.manager = CommManager()

    def create(self, **options: Any) -> BaseComm:
        """Open a comm."""
        return _Comm(self, **options)


class _Comm(BaseComm):
    def __init__(self, wire: Wire, **options: Any) -> None:
        self._pages = wire.pages
        super().__init__(**options)

    def publish_msg(self, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        if msg_type == "comm_open":
            self._pages[self.comm_id] = Page(data["state"])
        else:
            self._pages[self.comm_id].receive(msg_type, data)
