"""Where a server is, and its token."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from mcnb.errors import InvalidInputError

TOKENS = ("MCNB_TOKEN", "JUPYTER_TOKEN")
"""Environment variables that may hold a token."""

_PAGES = re.compile(r"(?:/lab/tree/.*|/(?:lab|tree|api|api/workflows))?/*$")
"""What follows a server's base URL where people copy it from: JupyterLab's address, or one of the API."""


@dataclass(frozen=True)
class Address:
    """Where a server is.

    Attributes
    ----------
    url : str
        Its base URL, without a slash at the end.
    token : str or None
        Never shown.
    """

    url: str
    token: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str, token: str | None = None) -> Address:
        """Read an address as people write it: with or without ``/api``, with or without ``?token=``.

        Parameters
        ----------
        url : str
            Like ``http://gpu-box:8888``.
        token : str, optional
            By default that of the URL, else that of the environment.

        Raises
        ------
        InvalidInputError
            When it is none.
        """
        hint = "write it like http://gpu-box:8888"
        try:
            parts = urlsplit(url.strip())
            is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except (AttributeError, ValueError):
            is_url = False
        if not is_url or not url.isprintable() or " " in url.strip():
            raise InvalidInputError(f"{_shown(url)} is not the address of a server", hint=hint)
        if parts.username is not None or parts.password is not None:
            raise InvalidInputError("a name and password in the address are not used", hint="give token=... instead")
        given = token or next(iter(parse_qs(parts.query).get("token", [])), None)
        found = given or next((os.environ[name] for name in TOKENS if os.environ.get(name)), None)
        if found is not None and not (found.isascii() and found.isprintable() and found == found.strip()):
            raise InvalidInputError("the token has characters that no token has", hint="copy it again, without spaces")
        return cls(f"{parts.scheme}://{parts.netloc}{_PAGES.sub('', parts.path)}", found)

    @property
    def is_loopback(self) -> bool:
        """Whether it is this machine: then no proxy stands between."""
        host = urlsplit(self.url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost" or host.endswith(".localhost")


def _shown(url: object) -> str:
    """Return a text for a message; what follows a question mark may be a token."""
    return str(url).partition("?")[0]
