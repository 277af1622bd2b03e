"""A server that speaks the HTTP of mcnb's, with a real Runtime behind it, and misbehaves when it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import tornado.httpserver
import tornado.netutil
import tornado.web

from mcnb.compose import check_input, input_schema
from mcnb.errors import InvalidInputError, McnbError, ServerRestartedError
from mcnb.models.parameters import check_parameters
from mcnb.runtime import Compose, Run

PATIENCE = 60
TOKEN = "right-token"


class Seen(NamedTuple):
    """A request: method, path with query, headers, body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Canned(NamedTuple):
    """A reply in place of the right one."""

    status: int
    body: str = ""
    headers: Mapping[str, str] = {}


class Lost(NamedTuple):
    """Do what was asked for, and break the connection in place of replying; `early`: before doing it."""

    early: bool = False


@dataclass
class Served:
    """A workflow as the server offers it."""

    compose: Compose
    name: str
    default: bool = False


@dataclass
class Kept:
    """A run as the server keeps it."""

    run: Run
    public: str
    body: dict[str, Any]
    ended: list[dict[str, Any]] | None = None
    """All its events, when the server was started again while it was under way."""
    error: McnbError | None = None

    @property
    def state(self) -> str:
        return "failed" if self.ended is not None else self.run.state

    def events(self, after: int) -> list[dict[str, Any]]:
        if self.ended is not None:
            return self.ended[after:]
        return [event.to_dict() for event in self.run.events_after(after)]

    @property
    def done(self) -> bool:
        return self.ended is not None or self.run.done

    def to_dict(self, *, whole: bool = False) -> dict[str, Any]:
        run, error = self.run, self.error or self.run.error
        found: dict[str, Any] = {
            "run_id": run.id,
            "task_id": run.id,
            "workflow_id": self.public,
            "status": self.state,
            "created": run.record.created,
            "started": None,
            "finished": None,
            "seed": run.record.seed,
            "priority": self.body.get("priority", "api"),
            "events": len(self.events(0)),
        }
        if self.done:
            found |= {"output": None if self.ended is not None else run.output}
            found |= {"error": error.to_dict()} if error is not None else {}
        if whole:
            is_complete = self.ended is None and run.done
            found |= {"input": run.record.input, "record": run.record.to_dict() if is_complete else None}
        return found


@dataclass
class StandInServer:
    """Use it in a ``with`` block.

    Attributes
    ----------
    offers : dict of str to Served
        By public id.
    token : str or None
        None asks for none.
    cuts : deque of int
        Each breaks one stream behind so many of its events.
    replies : dict of str to deque
        By ``METHOD path``, what happens in place of the next right replies.
    waits : deque of int
        Seconds of Retry-After of the next refusals.
    """

    offers: dict[str, Served]
    token: str | None = TOKEN
    cuts: deque[int] = field(default_factory=deque)
    replies: dict[str, deque[Canned | Lost]] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    runs: dict[str, Kept] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    is_mcnb: bool = True
    is_jupyter: bool = True
    base: str = ""
    streams: int = 0
    heartbeat: float = 0.05

    def __enter__(self) -> StandInServer:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stand-in-server", daemon=True)
        self._thread.start()
        self._do(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.end()

    def end(self) -> None:
        """End the thread of a server that has stopped."""

        async def rest() -> None:
            others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._loop.shutdown_default_executor()

        asyncio.run_coroutine_threadsafe(rest(), self._loop).result(PATIENCE)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)
        self._loop.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base}"

    def instead(self, request: str, *replies: Canned | Lost) -> None:
        """Reply otherwise to the next requests of a kind: ``"POST api/workflows/runs"``."""
        self.replies.setdefault(request, deque()).extend(replies)

    def requests(self, method: str, ending: str) -> list[Seen]:
        """The requests so far whose path ends so, the query aside."""
        return [item for item in self.seen if item.method == method and item.path.partition("?")[0].endswith(ending)]

    def stop(self) -> None:
        """Stop listening, and break every connection."""
        self._do(self._stop)

    def start_again(self) -> None:
        """Listen again at the same place: runs that were under way have failed."""
        for kept in self.runs.values():
            if not kept.done:
                events = kept.events(0)
                kept.error = ServerRestartedError("the server was started again while the run was under way")
                last = {"state": "failed", "error": kept.error.to_dict()}
                events.append({"id": len(events) + 1, "type": "state", "time": time.time(), **last})
                kept.ended = events
        self._socket = socket.create_server(("127.0.0.1", self.port))
        self._do(self._listen)

    def _do(self, work: Callable[[], Any]) -> None:
        async def doing() -> None:
            work()

        asyncio.run_coroutine_threadsafe(doing(), self._loop).result(PATIENCE)

    def _listen(self) -> None:
        app = tornado.web.Application([(r"/(.*)", _Handler, {"server": self})], log_function=lambda _: None)
        self._http = tornado.httpserver.HTTPServer(app)
        self._socket.setblocking(False)
        self._http.add_socket(self._socket)

    def _stop(self) -> None:
        self._http.stop()
        self._socket.close()
        for connection in list(self._http._connections):
            connection.stream.close()

    def submit(self, data: dict[str, Any]) -> Kept:
        """Take a run, as the keeper does."""
        known = {"workflow_id", "input", "seed", "parameters", "timeout", "priority", "wait_for_completion"}
        if unknown := sorted(data.keys() - known):
            raise InvalidInputError(f"unknown: {', '.join(unknown)}")
        public = data["workflow_id"]
        served = self.offers[public]
        check_parameters(data.get("parameters") or {})
        run = served.compose.submit(
            served.name,
            check_input(served.compose.inputs(served.name), data.get("input")),
            seed=data.get("seed"),
            parameters=data.get("parameters"),
            timeout=data.get("timeout"),
        )
        self.runs[run.id] = Kept(run, public, data)
        return self.runs[run.id]


class _Handler(tornado.web.RequestHandler):
    """All routes."""

    def initialize(self, server: StandInServer) -> None:
        self.server = server

    def prepare(self) -> None:
        request = self.request
        self.server.seen.append(
            Seen(str(request.method), str(request.uri), dict(request.headers.get_all()), request.body)
        )

    async def get(self, path: str) -> None:
        await self._answer(path)

    async def post(self, path: str) -> None:
        await self._answer(path)

    async def _answer(self, path: str) -> None:
        server = self.server
        base = server.base.strip("/")
        if base and not path.startswith(f"{base}/"):
            self._page(404, "<html>Not Found</html>")
            return
        path = path[len(base) :].strip("/")
        planned = server.replies.get(f"{self.request.method} {path}")
        reply = planned.popleft() if planned else None
        if isinstance(reply, Canned):
            self._page(reply.status, reply.body, reply.headers)
            return
        if isinstance(reply, Lost) and reply.early:
            self._break()
            return
        given = self.request.headers.get("Authorization")
        if path != "api" and server.token is not None and given != f"token {server.token}":
            self._json(403, {"message": "Forbidden"})
            return
        try:
            await self._route(path, is_lost=isinstance(reply, Lost))
        except McnbError as error:
            errors = {"errors": list(error.errors)} if isinstance(error, InvalidInputError) else {}
            self._json(400, {"error": error.to_dict(), **errors})

    async def _route(self, path: str, *, is_lost: bool) -> None:
        server, method, parts = self.server, self.request.method, path.split("/")
        if path == "api" and server.is_jupyter:
            self._json(200, {"version": "2.0.0"})
        elif not server.is_mcnb:
            self._json(404, {"message": "Not Found"}) if server.is_jupyter else self._page(404, "<html></html>")
        elif path == "api/workflows":
            self._json(200, [self._entry(public) for public in server.offers])
        elif path == "api/workflows/runs" and method == "POST":
            self._submit(is_lost=is_lost)
        elif path == "api/workflows/runs":
            wanted = self.get_query_argument("status")
            found = [kept.to_dict() for kept in server.runs.values() if kept.state == wanted]
            self._json(200, {"runs": found, "next_cursor": None})
        elif parts[:3] == ["api", "workflows", "runs"]:
            kept = server.runs.get(parts[3])
            if kept is None:
                self._error(404, "not_found", f"there is no run '{parts[3]}'")
            else:
                await self._of_run(kept, parts[4:], is_lost=is_lost)
        elif len(parts) == 3 and parts[2] in server.offers:
            self._json(200, self._described(parts[2]))
        else:
            self._error(404, "not_found", "there is no such workflow")

    async def _of_run(self, kept: Kept, rest: list[str], *, is_lost: bool) -> None:
        if rest == ["events"]:
            await self._stream(kept)
        elif rest == ["cancel"]:
            if kept.done:
                self._error(409, "conflict", f"the run is {kept.state}")
                return
            kept.run.cancel()
            await asyncio.get_running_loop().run_in_executor(None, kept.run.wait, 5)
            self._break() if is_lost else self._json(200 if kept.done else 202, kept.to_dict())
        elif rest == ["resume"]:
            if kept.state != "interrupted":
                self._error(409, "conflict", f"the run is {kept.state}, not interrupted: it waits for no answer")
                return
            kept.run.resume(**json.loads(self.request.body))
            self._break() if is_lost else self._json(202, kept.to_dict())
        elif rest == ["retry"]:
            data = {**kept.body, "seed": kept.run.record.seed}
            self._json(202, self.server.submit(data).to_dict())
        else:
            self._json(200, kept.to_dict(whole=True))

    def _submit(self, *, is_lost: bool) -> None:
        data = json.loads(self.request.body)
        key = self.request.headers.get("Idempotency-Key", "")
        if key not in self.server.keys:
            self.server.keys[key] = self.server.submit(data).run.id
        kept = self.server.runs[self.server.keys[key]]
        self._break() if is_lost else self._json(202, kept.to_dict())

    async def _stream(self, kept: Kept) -> None:
        server = self.server
        server.streams += 1
        sent = int(self.request.headers.get("Last-Event-ID", "0"))
        cut = server.cuts.popleft() if server.cuts else None
        self.set_header("Content-Type", "text/event-stream")
        loop = asyncio.get_running_loop()
        told = 0
        with contextlib.suppress(tornado.iostream.StreamClosedError):
            await self.flush()
            while True:
                events = kept.events(sent)
                for event in events:
                    if cut is not None and told >= cut:
                        if told % 2:  # in the middle of an event, too
                            self.write(f"id: {event['id']}\nda")
                            await self.flush()
                        self._break()
                        return
                    self.write(f"id: {event['id']}\nevent: {event['type']}\ndata: {json.dumps(event)}\n\n")
                    await self.flush()
                    told += 1
                sent += len(events)
                if kept.done and not kept.events(sent):
                    return
                if not events:
                    self.write(": heartbeat\n\n")
                    await self.flush()
                await loop.run_in_executor(None, kept.run.wait_event, sent, server.heartbeat)

    def _entry(self, public: str) -> dict[str, Any]:
        served = self.server.offers[public]
        title = served.compose.document.workflow(served.name).title
        return {"workflow_id": public, "title": title, **({"default": True} if served.default else {})}

    def _described(self, public: str) -> dict[str, Any]:
        served = self.server.offers[public]
        document = served.compose.document
        schema = input_schema(document.inputs(served.name))
        told = {
            "digest": document.digest,
            "source": document.source,
            "env": sorted(document.env),
            "workflow": served.name,
        }
        return {**self._entry(public), "input": schema, "output": None, "document": told}

    def _json(self, status: int, data: Any) -> None:
        self._page(status, json.dumps(data), {"Content-Type": "application/json"})

    def _error(self, status: int, code: str, message: str) -> None:
        self._json(status, {"error": {"code": code, "message": message}})

    def _page(self, status: int, body: str, headers: Mapping[str, str] = {}) -> None:
        self.set_status(status)
        for name, value in headers.items():
            self.set_header(name, value)
        self.finish(body)

    def _break(self) -> None:
        self.request.connection.stream.close()  # type: ignore[union-attr]
        self._finished = True
