"""A server with OpenAI's API that answers as it is told to, and misbehaves where that is wanted."""

from __future__ import annotations

import json
import socket
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 60
Reply = Callable[["_Handler"], None]


@dataclass
class Seen:
    """A request."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


class ScriptedServer:
    """Answers each request for a text with the next reply; everything else by its path, 404 where there is none."""

    def __init__(self) -> None:
        self.replies: deque[Reply] = deque()
        self.places: dict[str, Reply] = {"/v1/models": answer(200, {"data": [{"id": "m", "owned_by": "tests"}]})}
        self.seen: list[Seen] = []
        self.left = threading.Event()
        """Set when a client has closed a connection on which more would have come."""
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.daemon_threads = True
        self._http.script = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def texts(self) -> list[Seen]:
        """The requests for texts."""
        return [one for one in self.seen if one.path.endswith("/completions")]

    def __enter__(self) -> ScriptedServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._thread.join(PATIENCE)
        self._http.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._answer(None)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def _answer(self, body: Any) -> None:
        script: ScriptedServer = self.server.script
        headers = {name.lower(): value for name, value in self.headers.items()}
        script.seen.append(Seen(self.command, self.path, headers, body))
        if self.path.endswith("/completions") and script.replies:
            script.replies.popleft()(self)
        else:
            script.places.get(self.path, answer(404, {"detail": "Not Found"}))(self)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def wait_for_leaving(self) -> None:
        """Return when the client has closed the connection."""
        self.connection.settimeout(PATIENCE)
        assert self.connection.recv(1) == b""
        self.server.script.left.set()
        self.close_connection = True


def answer(status: int, body: Any = None, **headers: str) -> Reply:
    """Reply with JSON, or with a text as it is."""
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    kind = "text/plain" if isinstance(body, str) else "application/json"
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def reply(handler: _Handler) -> None:
        handler.begin(status, {"content-type": kind, **named, "content-length": str(len(data))})
        handler.wfile.write(data)

    return reply


def piece(text: str, reason: str | None = None, **more: Any) -> dict[str, Any]:
    return {"model": "m", "choices": [{"index": 0, "text": text, "finish_reason": reason}], **more}


def said(text: str, reason: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}


def stream(*events: Any, done: bool = True, then: Callable[[_Handler], None] | None = None) -> Reply:
    """Reply with server-sent events: JSON, or texts as they are; `then` happens in place of the end."""

    def reply(handler: _Handler) -> None:
        handler.begin(200, {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"})
        for event in events:
            data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
            handler.chunk(f"data: {data}\n\n".encode())
        if then is not None:
            then(handler)
            return
        if done:
            handler.chunk(b"data: [DONE]\n\n")
        handler.wfile.write(b"0\r\n\r\n")

    return reply


def hang_up(handler: _Handler) -> None:
    """Break the connection."""
    handler.hang_up()


def wait_for_leaving(handler: _Handler) -> None:
    """Send nothing more until the client leaves."""
    handler.wait_for_leaving()


def at_gate(gate: threading.Event, reply: Reply) -> Reply:
    """Reply when a gate opens."""

    def waiting(handler: _Handler) -> None:
        assert gate.wait(PATIENCE)
        reply(handler)

    return waiting
