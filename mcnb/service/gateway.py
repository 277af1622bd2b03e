"""The kernel gateway of a service: where its models run, when that is not this machine."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from traitlets.config import Config

from mcnb.errors import InvalidInputError

CONNECT_TIMEOUT = 5.0
"""Seconds within which a gateway takes a connection; Jupyter's own 40 would keep every run waiting as long."""


def check_gateway(url: str | None) -> None:
    """Refuse what is no address of a gateway.

    Raises
    ------
    InvalidInputError
        When it is none, or holds a password.
    """
    if url is None:
        return
    try:
        found = urlsplit(url)
        good = found.scheme in ("http", "https") and bool(found.hostname) and found.port != 0
    except ValueError:
        found, good = urlsplit(""), False
    if found.username is not None:
        hint = "JUPYTER_GATEWAY_HTTP_USER and JUPYTER_GATEWAY_HTTP_PWD hold them"
        raise InvalidInputError(
            "--gateway-url shows a user's name and password to everybody on this machine", hint=hint
        )
    if not good:
        hint = "name it like --gateway-url http://gpu-box:8888"
        raise InvalidInputError(f"'{url}' is not the address of a kernel gateway", hint=hint)


def gateway_traits(url: str | None) -> Config:
    """Return Jupyter's settings for a gateway; ``JUPYTER_GATEWAY_...`` variables say the others."""
    if url is None:
        return Config()
    traits = Config(url=url)
    if "JUPYTER_GATEWAY_CONNECT_TIMEOUT" not in os.environ:
        traits.connect_timeout = CONNECT_TIMEOUT
    return traits
