"""The server extension, with the settings of a service and of nobody else."""

from __future__ import annotations

import os
from typing import Any

from mcnb.compose import Document
from mcnb.server.extension import McnbExtension
from mcnb.service.endpoint import Endpoint
from mcnb.service.registry import database_file


class ServiceExtension(McnbExtension):
    """The extension as ``mcnb up`` runs it."""

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Read no configuration: what the user set for other servers is not meant for this one."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": __name__, "app": ServiceExtension}]


def extension_traits(document: Document, endpoint: Endpoint, name: str) -> dict[str, Any]:
    """Return the extension's settings."""
    traits: dict[str, Any] = {
        "compose_files": [os.path.abspath(path) for path in document.files],
        "database": str(database_file(name)),
        "base_path": endpoint.base_path,
    }
    if endpoint.running is not None:
        traits["running"] = endpoint.running
    if endpoint.stop_grace is not None:
        traits["stop_grace"] = endpoint.stop_grace
    return traits
