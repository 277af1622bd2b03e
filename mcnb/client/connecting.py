"""The HTTP connections to a server: its token, its certificates, its proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcnb.client.address import Address
from mcnb.errors import NotSupportedError, ServerError

if TYPE_CHECKING:
    import httpx


def http_client(address: Address, timeout: float) -> httpx.Client:
    """Return what sends requests to a server, and its token with each.

    Raises
    ------
    NotSupportedError
        When a library that it needs is not installed.
    ServerError
        When the environment asks for a proxy or certificates that cannot be used.
    """
    try:
        import httpx
        import httpx_sse  # noqa: F401 - needed later; better told now
    except ImportError as error:
        raise NotSupportedError(
            f"talking to a server needs {error.name}, which is not installed", hint="pip install 'mcnb[client]'"
        ) from error
    headers = {"User-Agent": "mcnb"}
    if address.token is not None:
        headers["Authorization"] = f"token {address.token}"
    try:
        return httpx.Client(
            headers=headers,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            follow_redirects=False,
            trust_env=not address.is_loopback,
            verify=httpx.create_ssl_context(),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=4),
        )
    except (ImportError, ValueError, OSError) as error:  # of a proxy that the environment names, or certificates
        raise ServerError(
            f"no connection can be made as the environment asks: {error}",
            hint="see HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and SSL_CERT_FILE",
        ) from error
