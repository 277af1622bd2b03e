"""The settings of the Jupyter server behind ``mcnb up``. Those of the user's own servers are not read."""

from __future__ import annotations

import re
import secrets
from pathlib import Path
from typing import Any

from traitlets.config import Config

from mcnb.service.endpoint import Endpoint, is_loopback

EXTENSION = "mcnb.service.extension"
SERVICES = ("auth", "security")
"""Of Jupyter's own routes, those of signing in. Files, terminals, sessions and kernels are not served."""


def server_config(endpoint: Endpoint, traits: dict[str, Any], folder: Path) -> Config:
    """Return the configuration of the server.

    Parameters
    ----------
    endpoint : Endpoint
    traits : dict
        The settings of the extension.
    folder : Path
        Of the compose file: where kernels start.
    """
    config = Config()
    config.ServerApp = Config(
        ip=endpoint.api.host,
        port=endpoint.api.port,
        port_retries=0,
        allow_root=True,
        open_browser=False,
        root_dir=str(folder),
        default_url=f"{endpoint.base_path or ''}/workflows",
        jpserver_extensions={EXTENSION: True},
        reraise_server_extension_failures=True,
        allow_unauthenticated_access=False,
        allow_remote_access=not is_loopback(endpoint.api.host),
        allow_origin_pat=_origins(endpoint.origins),
        cookie_secret=secrets.token_bytes(32),
        terminals_enabled=False,
    )
    config.IdentityProvider = Config(token=endpoint.token)
    config.PasswordIdentityProvider = Config(allow_password_change=False)
    config.ServiceExtension = Config(traits)
    return config


def _origins(sites: tuple[str, ...]) -> str:
    return "|".join(f"{re.escape(site.lower())}\\Z" for site in sites)
