"""Handler: what every route does the same way; bodies, errors, protection against other sites, clients that leave."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from pydantic import BaseModel
from tornado import web
from tornado.iostream import StreamClosedError

from mcnb.errors import InternalError, McnbError
from mcnb.server.bodies import (
    JSON,
    MAX_BYTES,
    BodyTooLargeError,
    Fields,
    UnsupportedTypeError,
    check_query,
    read_fields,
)
from mcnb.server.replies import error_body, headers_of, status_of, to_json

if TYPE_CHECKING:
    from mcnb.server.catalog import Catalog
    from mcnb.server.extension import McnbExtension
    from mcnb.server.keeper import RunKeeper

BROWSER_SIGNS = ("Cookie", "Origin", "Referer", "Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest", "Sec-Fetch-User")
"""Headers that browsers send and programs do not."""

WORDS = {
    400: ("bad_request", "the request cannot be understood"),
    401: ("unauthenticated", "the request carries no valid token"),
    403: ("forbidden", "the request carries no valid token, or its user or its page may not do this"),
    404: ("not_found", "there is nothing here"),
    405: ("method_not_allowed", "this address does not take that method"),
    413: ("too_large", f"the body has more than {MAX_BYTES} bytes"),
    415: ("unsupported_type", "a body of that type cannot be read"),
}
"""What is said of errors that are none of ours: never their own text, which is meant for the log."""

_Query = TypeVar("_Query", bound=BaseModel)


@web.stream_request_body
class Handler(APIHandler):
    """Base of all handlers."""

    auth_resource = "runs"

    def initialize(self, extension: McnbExtension, allowed: tuple[str, ...] = ()) -> None:
        """Take the extension that the server loaded, and the methods that the table of routes has."""
        self.extension = extension
        self.allowed = allowed
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._chunks = bytearray()
        self._reads_body = False
        self._is_refused = False

    # What handlers use

    async def keeper(self) -> RunKeeper:
        """Return the keeper, once the extension has started."""
        return (await self.extension.services()).keeper

    async def catalog(self) -> Catalog:
        """Return the compose files as they are now."""
        return await self.extension.catalog()

    def fields(self) -> Fields:
        """Return the body's fields."""
        if self.request.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise UnsupportedTypeError("cannot read an encoded body", hint="send it as it is")
        return read_fields(self.request.headers.get("Content-Type", ""), bytes(self._chunks))

    def query(self, model: type[_Query]) -> _Query:
        """Return the query's keys, checked."""
        return check_query(model, self.request.query_arguments)

    def accepts(self, kind: str) -> bool:
        """Return whether the client names a type of reply."""
        accepted = self.request.headers.get("Accept", "")
        return any(part.partition(";")[0].strip().lower() == kind for part in accepted.split(","))

    def link(self, run_id: str) -> str:
        """Return the address of a run, under the path that the request came by."""
        return url_path_join(self.base_url, self.extension.mount_of(self.request.path), "workflows/runs", run_id)

    def reply(self, value: Any, status: int = 200, *, kind: str = JSON, **headers: str) -> None:
        """Answer with JSON."""
        self.set_status(status)
        for name, text in headers.items():
            self.set_header(name.replace("_", "-"), text)
        self.finish(to_json(value), set_content_type=kind)

    # Bodies, as they come in

    async def prepare(self, **options: Any) -> None:
        """Check who asks and what they announce.

        Who is refused is told so when the body, which is thrown away, has come: a client that still sends would not
        hear it. A body that is announced to be too large is not read at all.
        """
        try:
            await super().prepare(**options)
        except Exception as error:
            self.refuse(error)
        length = self.request.headers.get("Content-Length", "")
        if length.isdigit() and int(length) > MAX_BYTES:
            raise BodyTooLargeError(WORDS[413][1])
        self._reads_body = True

    def refuse(self, error: Exception) -> None:
        """Let the request end with an error, in place of what its method does."""

        def refused(*_: Any, **__: Any) -> None:
            raise error

        self._is_refused = True
        setattr(self, (self.request.method or "get").lower(), refused)

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body, unless there is too much of it."""
        if self._finished or self._is_refused:
            return
        if len(self._chunks) + len(chunk) > MAX_BYTES:
            self._chunks.clear()
            self.send_error(413)
            return
        self._chunks += chunk

    def on_connection_close(self) -> None:
        """Tell whoever waits that the client has left."""
        if not self.left.done():
            self.left.set_result(None)
        super().on_connection_close()

    # Other sites

    def check_xsrf_cookie(self) -> None:
        """Check as the base class does, except for programs where authentication is off.

        Nothing but a browser can be made to send a request for another site, and browsers tell themselves apart: a
        request without a single header of theirs comes from a program, which could as well invent a cookie.
        """
        if not self._is_open_to_programs():
            super().check_xsrf_cookie()

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Set none for programs where authentication is off: having one, they would look like browsers."""
        if not self._is_open_to_programs():
            super().set_cookie(*args, **kwargs)

    def _is_open_to_programs(self) -> bool:
        headers = self.request.headers
        return not self.identity_provider.auth_enabled and not any(name in headers for name in BROWSER_SIGNS)

    # Errors

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer an error, with the status that it has."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, StreamClosedError):
            return  # nobody is there
        if isinstance(error, BodyTooLargeError | UnsupportedTypeError):
            status_code = 413 if isinstance(error, BodyTooLargeError) else 415
        elif isinstance(error, McnbError):
            status_code = status_of(error)
        super().send_error(status_code, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Write an error's body: our own errors' sentences, and nothing of what others wrote for the log."""
        error = kwargs.get("exc_info", (None, None))[1]
        if isinstance(error, McnbError) and not isinstance(error, InternalError):
            for name, text in headers_of(error).items():
                self.set_header(name, text)
            body = error_body(error)
        else:
            code, message = WORDS.get(
                status_code, ("internal", "something went wrong in the server; its log says what")
            )
            body = {"error": {"code": code, "message": message}, "errors": []}
        if status_code == 405:
            self.set_header("Allow", ", ".join((*self.allowed, "OPTIONS")))
        if status_code == 413 or not self._reads_body:
            self.set_header("Connection", "close")
        self.finish(json.dumps(body))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what is a defect; what callers did wrong and clients that left are no news."""
        if isinstance(value, StreamClosedError):
            return
        if isinstance(value, McnbError) and status_of(value) != 500:
            self.log.debug("%s: %s", self.request.method, value.code)
            return
        super().log_exception(typ, value, tb)


class NothingHere(Handler):
    """Addresses below ours that are none."""

    async def prepare(self, **options: Any) -> None:
        """Refuse, whatever the method, whoever is known."""
        await super().prepare(**options)
        if not self._is_refused:
            self.refuse(web.HTTPError(404))
