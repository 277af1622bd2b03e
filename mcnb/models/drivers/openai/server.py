"""Where a server is, and requests to it."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mcnb.errors import McnbError, QueueFullError, ServerError
from mcnb.models.drivers.openai.refusals import refusal, shown_reason

if TYPE_CHECKING:
    import httpx

SILENCE = 300.0
"""Seconds that a server may say nothing, where the document does not say."""

CONNECTING = 10.0
"""Seconds that connecting may take."""

ATTEMPTS = 4
"""At a request that was not taken: no connection, or a server that says it is busy."""

PAUSE = 0.5
"""Seconds before the second attempt, and twice as many before each further one, where the server does not say."""

LONGEST_PAUSE = 60.0
"""Seconds; who is told to come again later than that is told so, rather than kept waiting."""

SHORT_ANSWER = 30.0
"""Seconds for questions that need no computing."""


@dataclass
class Server:
    """A server.

    Attributes
    ----------
    url : str
        Its base URL, without a slash at the end.
    key : str or None
        Never shown.
    silence : float
        Seconds it may say nothing.
    """

    url: str
    key: str | None = field(default=None, repr=False)
    silence: float = SILENCE

    @property
    def identity(self) -> tuple[str, str | None, float]:
        """What makes it this server for this caller."""
        return (self.url, self.key, self.silence)

    @property
    def root(self) -> str:
        """Where what is not part of the API lives."""
        return self.url.removesuffix("/v1")

    @cached_property
    def client(self) -> httpx.AsyncClient:
        """The connections; of one event loop."""
        import httpx

        return httpx.AsyncClient(
            headers={"Authorization": f"Bearer {self.key}"} if self.key else {},
            timeout=httpx.Timeout(self.silence, connect=CONNECTING, pool=None),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=8),
            trust_env=not _is_loopback(self.url),  # no proxy stands between
        )

    async def close(self) -> None:
        """Close the connections."""
        if "client" in self.__dict__:
            await self.client.aclose()

    async def ask(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> httpx.Response:
        """Send a request that needs no computing, and return the answer whatever its status.

        Raises
        ------
        ServerError
            When there is none.
        """
        import httpx

        try:
            return await self.client.request(method, url, json=body, timeout=min(SHORT_ANSWER, self.silence))
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self.unreachable(error) from error

    @contextlib.asynccontextmanager
    async def answer(self, path: str, body: Mapping[str, Any], model: str) -> AsyncIterator[httpx.Response]:
        """Send a request for a text; within the block its answer can be read, then the connection is free or closed.

        Only what the server has not taken is sent again: no connection, or an answer that it is busy.

        Raises
        ------
        ServerError, QueueFullError, ModelError, InvalidInputError, ContextOverflowError
        """
        import httpx

        pause = PAUSE
        for attempt in range(1, ATTEMPTS + 1):
            request = self.client.build_request("POST", f"{self.url}{path}", json=body)
            try:
                response = await self.client.send(request, stream=True)
            except (httpx.ConnectError, httpx.ConnectTimeout) as error:
                if attempt == ATTEMPTS:
                    raise self.unreachable(error) from error
                await asyncio.sleep(pause)
                pause *= 2
                continue
            except (httpx.HTTPError, OSError) as error:
                raise self.unreachable(error) from error
            try:
                if response.is_success:
                    yield response
                    return
                failure = await self._failure(response, model)
            finally:
                await response.aclose()
            if not isinstance(failure, QueueFullError) or attempt == ATTEMPTS or failure.retry_after > LONGEST_PAUSE:
                raise failure
            await asyncio.sleep(failure.retry_after or pause)
            pause *= 2

    async def _failure(self, response: httpx.Response, model: str) -> McnbError:
        import httpx

        with contextlib.suppress(httpx.HTTPError, OSError):
            await response.aread()
        return refusal(self, response, model)

    def unreachable(self, error: Exception) -> ServerError:
        """Return what to tell of a request without an answer."""
        import httpx

        hint = "check 'base_url', and that the server runs"
        if isinstance(error, httpx.ConnectTimeout):
            return ServerError(f"{self.url} cannot be reached: no connection within {CONNECTING:g} s", hint=hint)
        if isinstance(error, httpx.ConnectError):
            return ServerError(f"{self.url} cannot be reached ({shown_reason(error, self)})", hint=hint)
        if isinstance(error, httpx.TimeoutException):
            return ServerError(
                f"{self.url} said nothing for {self.silence:g} s",
                hint="raise 'timeout' under 'options', or ask for less",
            )
        return ServerError(
            f"{self.url} did not answer to the end ({shown_reason(error, self)})", hint="see the server's log"
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
