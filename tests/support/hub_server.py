"""The HTTP side of the stand-in Hub: connections, routes, headers, bodies."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import socketserver
import struct
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

from .hub_files import HubFile

if TYPE_CHECKING:
    from .hub import StandInHub

BLOCK = 1 << 16  # bytes written at a time
BORN = "2026-01-01T00:00:00.000Z"


class Request(NamedTuple):
    """A request as the stand-in saw it: method, path with query, Range header."""

    method: str
    path: str
    range: str | None


class HubServer(ThreadingHTTPServer):
    """A threading server that ends all of its threads and connections when it stops."""

    daemon_threads = False  # so that server_close() joins them
    block_on_close = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, hub: StandInHub, port: int) -> None:
        self.hub = hub
        self.stopping = threading.Event()
        self.resets: set[socket.socket] = set()
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="stand-in-hub")
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        # HTTPServer's own looks the host name up, which can take seconds without a network.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self.shutdown()
        self._thread.join()
        with self._open_lock:
            for connection in self._open:  # wakes the threads that wait for a next request
                with contextlib.suppress(OSError):  # the other side may have closed it already
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        if request in self.resets:
            self.resets.discard(request)
            request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_request(request)  # with nothing to linger for, this sends a reset
        else:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], OSError):  # a client that left is no error here
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits for a delayed acknowledgement
    server: HubServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        hub = self.server.hub
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        hub.log(Request(self.command, self.path, self.headers.get("Range")))
        if hub.delay:
            self.server.stopping.wait(hub.delay)
        address = urlsplit(self.path)
        parts = [unquote(part) for part in address.path.strip("/").split("/")]
        if parts[:2] == ["api", "models"]:
            if (status := hub.take_refusal()) is not None:
                self._error(status, "", "The service is not available")
            else:
                self._api(parts[2:], parse_qs(address.query), parse_qs(body.decode()))
        elif len(parts) >= 5 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._error(404, "", "Not found")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def _api(self, parts: list[str], query: dict[str, list[str]], form: dict[str, list[str]]) -> None:
        files = self.server.hub.files
        repo, what, rest = "/".join(parts[:2]), "".join(parts[2:3]), parts[3:]
        if not parts:
            wanted = query.get("search", [""])[0].lower()
            self._json([{"id": name, "modelId": name} for name in files.repositories() if wanted in name.lower()])
        elif not self._found(repo, rest[0] if rest else "main"):
            return
        elif what in ("", "revision"):
            self._json(self._model_info(repo, with_blobs=query.get("blobs", [""])[0].lower() == "true"))
        elif what == "tree":
            self._tree(repo, "/".join(rest[1:]), query.get("recursive", [""])[0].lower() == "true")
        elif what == "paths-info":
            known = files.files(repo)
            self._json([known[name].listing() for name in form.get("paths", []) if name in known])
        elif what == "refs":
            head = {"name": "main", "ref": "refs/heads/main", "targetCommit": files.commit(repo)}
            self._json({"branches": [head], "tags": [], "converts": [], "pullRequests": []})
        else:
            self._error(404, "", "Not found")

    def _found(self, repo: str, revision: str) -> bool:
        files = self.server.hub.files
        if not files.exists(repo):
            # Without a token the Hub does not say whether a private repository exists.
            if self.headers.get("Authorization"):
                self._error(404, "RepoNotFound", "Repository not found")
            else:
                self._error(401, "RepoNotFound", "Invalid username or password.")
            return False
        if revision not in ("main", files.commit(repo)):
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return False
        return True

    def _model_info(self, repo: str, *, with_blobs: bool) -> dict[str, Any]:
        hub = self.server.hub
        files = hub.files.files(repo)
        sha = hub.files.commit(repo)
        return {
            "_id": sha[:24],
            "id": repo,
            "modelId": repo,
            "sha": sha,
            "private": False,
            "gated": "manual" if repo in hub.gated else False,
            "disabled": False,
            "tags": ["transformers"],
            "pipeline_tag": "text-generation",
            "library_name": "transformers",
            "downloads": 0,
            "likes": 0,
            "createdAt": BORN,
            "lastModified": BORN,
            "siblings": [file.sibling() if with_blobs else {"rfilename": name} for name, file in files.items()],
        }

    def _tree(self, repo: str, folder: str, recursive: bool) -> None:
        prefix = f"{folder}/" if folder else ""
        inside = {n: f for n, f in self.server.hub.files.files(repo).items() if n.startswith(prefix)}
        if not inside:
            self._error(404, "EntryNotFound", f"{folder} does not exist", repo)
            return
        entries: dict[str, dict[str, Any]] = {}
        for name, file in inside.items():
            steps = name.removeprefix(prefix).split("/")
            for depth in range(1, len(steps) if recursive else min(len(steps), 2)):
                path = prefix + "/".join(steps[:depth])
                entries[path] = {"type": "directory", "oid": "0" * 40, "size": 0, "path": path}
            if recursive or len(steps) == 1:
                entries[name] = file.listing()
        self._json(list(entries.values()))

    def _resolve(self, repo: str, revision: str, name: str) -> None:
        if not self._found(repo, revision):
            return
        hub = self.server.hub
        given = self.headers.get("Authorization")
        if repo in hub.gated and given != f"Bearer {hub.token}":
            self._error(403 if given else 401, "GatedRepo", f"Access to model {repo} is restricted.")
        elif (file := hub.files.files(repo).get(name)) is None:
            self._error(404, "EntryNotFound", "Entry not found", repo)
        else:
            self._file(repo, file)

    def _file(self, repo: str, file: HubFile) -> None:
        start, end, status = 0, file.size, 200
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            start, status = int(asked[1]), 206
            end = min(int(asked[2]) + 1, file.size) if asked[2] else file.size
            if start >= end:
                self._head(416, {"Content-Range": f"bytes */{file.size}", "Content-Length": "0"})
                return
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(end - start),
            "Accept-Ranges": "bytes",
            "ETag": f'"{file.etag}"',
            "X-Repo-Commit": self.server.hub.files.commit(repo),
            "X-Linked-Size": str(file.size),
            "X-Linked-ETag": f'"{file.etag}"',
        }
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        self._head(status, headers)
        if self.command != "HEAD":
            self._body(repo, file, start, end - start)

    def _body(self, repo: str, file: HubFile, start: int, length: int) -> None:
        hub = self.server.hub
        cut = hub.take_cut(repo, file.name, length)
        left = cut[0] if cut else length
        with file.path.open("rb") as stream:
            stream.seek(start)
            while left and not self.server.stopping.is_set():
                block = stream.read(min(left, max(1, int(hub.rate / 20)) if hub.rate else BLOCK))
                if not block:
                    break  # the file was shortened meanwhile
                self.wfile.write(block)
                hub.count(len(block))
                left -= len(block)
                if hub.rate:
                    self.server.stopping.wait(len(block) / hub.rate)
        if cut or left:
            self.close_connection = True
            if cut and cut[1]:
                self.server.resets.add(self.connection)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _json(self, content: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        body = json.dumps(content).encode()
        described = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
        self._head(status, described | (headers or {}))
        if self.command != "HEAD":
            self.wfile.write(body)

    def _error(self, status: int, code: str, message: str, repo: str | None = None) -> None:
        headers = {"X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        if repo is not None:
            headers["X-Repo-Commit"] = self.server.hub.files.commit(repo)
        self._json({"error": message}, status, headers)
