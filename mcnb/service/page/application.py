"""Voila with the page's notebook: its own token, its own template, nobody's configuration."""

from __future__ import annotations

import json
import secrets
import shutil
from importlib import resources
from pathlib import Path
from typing import Any

from jupyter_core.utils import run_sync
from traitlets.config import Config
from voila.app import Voila  # type: ignore[import-untyped]
from voila.voila_identity_provider import VoilaIdentityProvider  # type: ignore[import-untyped]

from mcnb.service.page.settings import PageSettings

IDLE_SECONDS = 600
"""A visitor's kernel is ended when the page has been closed for so long without saying so."""

_NOT_SERVED = ("/voila/query/", "/voila/files/")
"""Voila's routes that the page has no use for; the first tells the address of a page, with its token."""


class FormPage(Voila):  # type: ignore[misc]
    """The page's server."""

    name = "mcnb-page"

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Read no configuration: what the user set for other pages is not meant for this one."""

    def stop(self) -> None:
        """End the kernels, then remove what they connect through: one that is just starting still needs it."""
        run_sync(self.kernel_manager.shutdown_all)()
        shutil.rmtree(self.connection_dir, ignore_errors=True)

    def init_handlers(self) -> list[Any]:
        """Return Voila's routes, without those that are not needed."""
        return [item for item in super().init_handlers() if not any(part in item[0] for part in _NOT_SERVED)]


def write_notebook(folder: Path, title: str) -> Path:
    """Write the page's notebook with a title."""
    notebook = json.loads((resources.files(__package__) / "form.ipynb").read_text(encoding="utf-8"))
    notebook["metadata"]["title"] = title
    path = folder / "form.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def page_config(settings: PageSettings, notebook: Path) -> Config:
    """Return the configuration of Voila."""
    config = Config()
    config.Voila = Config(
        ip=settings.host,
        port=settings.port,
        port_retries=0,
        open_browser=False,
        notebook_path=str(notebook),
        root_dir=str(notebook.parent),
        connection_dir_root=str(notebook.parent),
        token=settings.token,
        cookie_secret=secrets.token_bytes(32),
        identity_provider_class=VoilaIdentityProvider,
        config_file_paths=[],
        tornado_settings={"allow_remote_access": not settings.local_only},
    )
    config.VoilaConfiguration = Config(
        template="mcnb",
        theme="light",
        allow_template_override="NO",
        allow_theme_override="NO",
        strip_sources=True,
        show_tracebacks=False,
        preheat_kernel=True,
        default_pool_size=1,
    )
    config.MappingKernelManager = Config(cull_idle_timeout=IDLE_SECONDS, cull_interval=60, cull_connected=False)
    return config
