"""Where a service listens, and what is refused because it would be open to others."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import quote

from mcnb.compose import Document
from mcnb.compose.durations import parse_duration
from mcnb.compose.schema.controller import Adapter, WebUI
from mcnb.errors import InvalidInputError
from mcnb.service.options import ServiceOptions

DEFAULT_BASE_PATH = "/api"
_WILDCARDS = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}  # noqa: S104 - it is what is asked for


@dataclass(frozen=True)
class Place:
    """One address to listen on.

    Attributes
    ----------
    host : str
    port : int
        0 means any free one.
    """

    host: str
    port: int

    @property
    def address(self) -> str:
        """The address that a person on this machine opens."""
        host = _WILDCARDS.get(self.host, self.host)
        if is_loopback(host):
            host = "localhost" if host == "127.0.0.1" else host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.port}"


@dataclass(frozen=True)
class Endpoint:
    """What the document's controller and the options say together.

    Attributes
    ----------
    api : Place
    base_path : str
        Begins with a slash and does not end with one; empty for the root.
    web : Place or None
        The web page, when the document asks for one.
    token : str
        Empty when nothing is asked for.
    origins : tuple of str
        The sites whose pages may send requests.
    any_origin : bool
        Whether the document asks for all sites, which is not done.
    running : int or None
        How many runs at a time.
    stop_grace : float or None
        How long running ones may go on when the service stops, in seconds.
    """

    api: Place
    base_path: str
    web: Place | None
    token: str
    origins: tuple[str, ...] = ()
    any_origin: bool = False
    running: int | None = None
    stop_grace: float | None = None


def endpoint_of(document: Document, options: ServiceOptions) -> Endpoint:
    """Return where the service of a document listens.

    Raises
    ------
    InvalidInputError
        When it would be reachable from other machines without a token.
    """
    controller = document.spec.controller
    adapter = controller.adapters[0] if controller and controller.adapters else None
    chosen = adapter or Adapter()
    webui = controller.webui if controller else None
    api = Place(options.host or chosen.host, _or(options.port, chosen.port))
    web = _web_place(webui, options)
    for place in filter(None, (api, web)):
        if not options.token and not is_loopback(place.host):
            raise InvalidInputError(
                f"without a token the service may only listen on this machine, and {place.host or 'every address'} "
                "can be reached from others",
                hint="leave --no-token out, or listen on 127.0.0.1 with --host",
            )
    sites = [site.strip().rstrip("/") for site in (chosen.origins or "").split(",") if site.strip()]
    grace = controller.shutdown_timeout if controller else None
    return Endpoint(
        api,
        _base_path(adapter.base_path if adapter else DEFAULT_BASE_PATH),
        web,
        options.token,
        tuple(site for site in sites if site != "*"),
        any_origin="*" in sites,
        running=(controller.max_concurrent_count or None) if controller else None,
        stop_grace=None if grace is None else parse_duration(grace),
    )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a host's address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def with_token(address: str, token: str) -> str:
    """Return an address that carries the token, when there is one."""
    return f"{address}/?token={quote(token, safe='')}" if token else address


def _web_place(webui: WebUI | None, options: ServiceOptions) -> Place | None:
    if webui is None:
        return None
    return Place(options.host or webui.host, _or(options.web_port, webui.port))


def _or(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def _base_path(text: str) -> str:
    inner = text.strip("/")
    return f"/{inner}" if inner else ""
