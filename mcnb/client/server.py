"""A server's replies, asked for again where the connection breaks."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from mcnb.client.address import Address
from mcnb.client.connecting import http_client
from mcnb.client.replies import cannot_understand, error_from, json_of
from mcnb.errors import McnbError, ServerError

if TYPE_CHECKING:
    import httpx

    from mcnb.client.feed import Feed

ATTEMPTS = 6
"""Of a request whose connection breaks; the pauses between them are some 6 seconds together."""

SHORTEST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds between two attempts."""

SILENCE = 45.0
"""Seconds without a heartbeat after which a stream is taken for broken; the server sends one each 15 s."""


_GATEWAY = (502, 503, 504)
"""What a proxy says while the server behind it is away; a server of mcnb says why itself."""


class Broken(Exception):  # noqa: N818 - it never reaches a caller
    """The connection broke, or what stands between has lost the server: it is worth trying again."""


class Server:
    """Talks to one server.

    The token goes to this server alone: redirections are not followed. Certificates are verified. Between two programs
    of one machine no proxy is used, whatever the environment says; otherwise that of the environment.

    Parameters
    ----------
    address : Address
        Where it is.
    timeout : float
        Seconds for one request.
    pause : callable
        Lets seconds pass; by default until the connections are closed.

    Attributes
    ----------
    url : str
        Its base URL.
    feeds : set of Feed
        Those that read from it.
    """

    def __init__(self, address: Address, timeout: float = 30, pause: Callable[[float], object] | None = None) -> None:
        self.url = address.url
        self.timeout = timeout
        self.feeds: set[Feed] = set()
        self._closing = threading.Event()
        self.pause = self._closing.wait if pause is None else pause
        self._has_token = address.token is not None
        self._client = http_client(address, timeout)
        self._finalizer = weakref.finalize(self, self._client.close)

    def close(self) -> None:
        """Close the connections; what reads from them ends."""
        self._closing.set()
        for feed in list(self.feeds):
            feed.stop()
        self._finalizer()

    @property
    def closed(self) -> bool:
        """Whether ``close`` was called."""
        return self._closing.is_set()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """Return the JSON of a reply.

        Raises
        ------
        ServerError
            When the server cannot be reached, or its reply cannot be understood.
        McnbError
            What the server says.
        """
        return self._again("GET", path, params=params)

    def post(
        self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None, once: bool = False
    ) -> Any:
        """Send JSON and return that of the reply.

        Parameters
        ----------
        path : str
            Below ``api``.
        body : mapping, optional
            JSON data.
        key : str, optional
            With it, the server takes a request that was sent again for the same.
        once : bool
            Whether a request that may have arrived must not be sent again.

        Raises
        ------
        McnbError
            As ``get``.
        """
        headers = {} if key is None else {"Idempotency-Key": key}
        return self._again("POST", path, once=once, json={} if body is None else dict(body), headers=headers)

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Send one request and return the reply, whatever it says; raise Broken when none comes."""
        import httpx

        try:
            response = self._client.request(method, f"{self.url}/{path}", **options)
        except (httpx.HTTPError, httpx.StreamError, OSError, RuntimeError) as error:
            raise self._broken(error) from error
        if response.status_code in _GATEWAY and not _is_told(response):
            raise Broken(f"what stands before it answered {response.status_code}")
        return response

    def stream(self, path: str, **options: Any) -> AbstractContextManager[httpx.Response]:
        """Send a request whose reply is read as it comes."""
        import httpx

        limits = httpx.Timeout(self.timeout, read=SILENCE)
        return self._client.stream("GET", f"{self.url}/{path}", timeout=limits, **options)

    def refused(self, response: httpx.Response) -> McnbError:
        """Return what a reply that is no success says."""
        return error_from(response, self.url, has_token=self._has_token)

    def unreachable(self, reason: object) -> ServerError:
        """Return the error of a server that gives no reply."""
        return ServerError(
            f"the server at {self.url} cannot be reached: {reason}",
            hint="is it running, and is this its address? 'mcnb up' and 'jupyter server list' print it",
        )

    def _again(self, method: str, path: str, *, once: bool = False, **options: Any) -> Any:
        for attempt in range(1, ATTEMPTS + 1):
            try:
                response = self.ask(method, f"api/{path}", **options)
                break
            except Broken as broken:
                if self.closed or attempt == ATTEMPTS or (once and not isinstance(broken, NeverSent)):
                    raise self.unreachable(broken) from broken
            self.pause(pause_before(attempt))
        if not response.is_success:
            raise self.refused(response)
        found = json_of(response)
        if not isinstance(found, dict | list):
            raise cannot_understand(self.url, f"{method} api/{path} gave no JSON")
        return found

    def _broken(self, error: Exception) -> Broken:
        import httpx

        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
            return NeverSent(_reason(error))
        return Broken(_reason(error))

    def recognize(self) -> None:
        """Make sure that it is a Jupyter server with mcnb, and say what is wrong otherwise.

        Raises
        ------
        ServerError
        """
        response = self._first()
        if response.is_success and isinstance(json_of(response), list):
            return
        if response.status_code == 404 or response.is_success:
            version = self._jupyter()
            if version is None:
                raise ServerError(
                    f"what answers at {self.url} is not a Jupyter server", hint="check the address, and its base URL"
                )
            raise ServerError(
                f"the Jupyter server at {self.url} has no mcnb",
                hint="pip install 'mcnb[server]' where it runs, and start it again",
            )
        raise self.refused(response)

    def _first(self) -> httpx.Response:
        """Ask for the workflows; a server that is not there is told at once, not after several attempts."""
        try:
            return self.ask("GET", "api/workflows")
        except Broken as broken:
            raise self.unreachable(broken) from broken

    def _jupyter(self) -> str | None:
        try:
            data = json_of(self.ask("GET", "api"))
        except Broken:
            return None
        return str(data["version"]) if isinstance(data, dict) and "version" in data else None


class NeverSent(Broken):
    """No connection could be made: the request has not reached the server."""


def pause_before(attempt: int) -> float:
    """Return the seconds to wait after an attempt, counted from 1, has failed."""
    return min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** min(attempt - 1, 10))


def _is_told(response: httpx.Response) -> bool:
    data = json_of(response)
    return isinstance(data, dict) and isinstance(data.get("error"), dict)


def _reason(error: Exception) -> str:
    """Say why there is no reply, in the words of the system or the library."""
    import httpx

    if isinstance(error, httpx.ConnectTimeout):
        return "it did not answer in time"
    if isinstance(error, httpx.TimeoutException):
        return "it did not reply in time"
    return str(error).rstrip(".") or type(error).__name__
