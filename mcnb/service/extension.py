"""The server extension, with the settings of a service and of nobody else."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from traitlets import Any as AnyTrait

from mcnb.compose import Document, Environment
from mcnb.server.catalog import Catalog
from mcnb.server.extension import McnbExtension
from mcnb.service.endpoint import Endpoint
from mcnb.service.registry import database_file


class Together(Catalog):
    """The workflows of one document, which may be read from several files.

    Parameters
    ----------
    files : sequence of Path
    environment : Environment
    """

    def __init__(self, files: Sequence[Path], environment: Environment | None) -> None:
        super().__init__(files[:1], environment)
        self._together = tuple(files)

    def read_with(self, path: Path) -> tuple[Path, ...]:
        """Return all files: later ones are merged over the first."""
        return self._together


class ServiceExtension(McnbExtension):
    """The extension as ``mcnb up`` runs it: for one document, with the environment of the command."""

    environment = AnyTrait(None, allow_none=True, help="Where ``${env.NAME}`` takes its values from.").tag(config=True)

    def _catalog_of(self, files: Sequence[Path]) -> Catalog:
        return Together(files, self.environment)

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Read no configuration: what the user set for other servers is not meant for this one."""


def _jupyter_server_extension_points() -> list[dict[str, Any]]:
    return [{"module": __name__, "app": ServiceExtension}]


def extension_traits(document: Document, environment: Environment, endpoint: Endpoint, name: str) -> dict[str, Any]:
    """Return the extension's settings."""
    traits: dict[str, Any] = {
        "environment": environment,
        "compose_files": [os.path.abspath(path) for path in document.files],
        "database": str(database_file(name)),
        "base_path": endpoint.base_path,
    }
    if endpoint.running is not None:
        traits["running"] = endpoint.running
    if endpoint.stop_grace is not None:
        traits["stop_grace"] = endpoint.stop_grace
    return traits
