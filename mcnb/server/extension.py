"""The extension: what a Jupyter server loads, and its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_server.extension.application import ExtensionApp
from jupyter_server.utils import url_path_join
from traitlets import Bool, Float, Int, List, Unicode

import mcnb
from mcnb.compose.files import FILE_NAMES
from mcnb.errors import InternalError, McnbError, ServerError, ServerStoppingError
from mcnb.server.watching import Watching

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

    from mcnb.server.catalog import Catalog
    from mcnb.server.keeper import LiveRun
    from mcnb.server.kernels import Kernels
    from mcnb.server.services import Services

API = "/api"
DAY = 86400.0
LAST_WORDS = 1.0
"""Seconds that clients have to be told that the server stops."""


class McnbExtension(ExtensionApp):
    """Runs of compose files, at ``/api/workflows/runs`` of this Jupyter server."""

    name = "mcnb"
    load_other_extensions = True
    open_browser = Bool(False, help="Whether a browser is opened when this extension starts the server.").tag(
        config=True
    )

    compose_files = List(
        Unicode(),
        help="Compose files, and folders of them, relative to the server's root folder. Without any, the "
        "model-compose.yml of the root folder, where there is one.",
    ).tag(config=True)
    database = Unicode(
        help="The SQLite file that keeps the runs; a file has one server at a time. Without it, a file for each root "
        "folder, in Jupyter's data folder under mcnb; further servers on the same root take files of their own.",
    ).tag(config=True)
    kernel_name = Unicode("python3", help="The kernel spec of the runtime kernel; mcnb has to be there.").tag(
        config=True
    )
    queue_length = Int(64, min=0, help="Runs that may wait; further ones are refused with 429.").tag(config=True)
    running = Int(32, min=1, help="Runs that the runtime kernel is given at a time.").tag(config=True)
    max_output_tokens = Int(
        None, allow_none=True, min=1, help="The most tokens that a generation may give, whatever the request says."
    ).tag(config=True)
    max_timeout = Float(3600.0, help="The longest time limit, in seconds, that a request may set.").tag(config=True)
    default_timeout = Float(
        None, allow_none=True, help="The time limit, in seconds, of a run whose request sets none."
    ).tag(config=True)
    retention_age = Float(
        30 * DAY, allow_none=True, help="Runs that ended so many seconds ago are deleted; None keeps them."
    ).tag(config=True)
    retention_count = Int(
        10_000, allow_none=True, min=0, help="Of the runs that are over, so many are kept; None keeps all."
    ).tag(config=True)
    heartbeat = Float(15.0, help="Seconds of silence after which a stream of events shows that it lives.").tag(
        config=True
    )
    base_path = Unicode(API, help="A second path, besides /api, under which the routes are to be found.").tag(
        config=True
    )
    stop_grace = Float(10.0, help="Seconds that running runs are given to end when the server stops.").tag(config=True)
    poll_interval = Float(1.0, help="Seconds between two looks at whether the kernels live.").tag(config=True)

    def initialize_handlers(self) -> None:
        """Register the routes, and start once the event loop runs: the server itself waits for nothing."""
        from mcnb.server.routes import handlers

        self.watching = Watching()
        self._start: asyncio.Task[Services] | None = None
        self._followed: set[asyncio.Task[None]] = set()
        self._stopping = False
        for mount in self._mounts():
            self.handlers.extend(handlers(mount, self))
        self._server.io_loop.add_callback(self._begin)

    @property
    def _server(self) -> ServerApp:
        if self.serverapp is None:
            raise InternalError("the extension has no server")
        return self.serverapp

    def _mounts(self) -> list[str]:
        own = "/" + self.base_path.strip("/")
        return [API] if own == API else [API, own]

    def mount_of(self, path: str) -> str:
        """Return the mount that a request's path is under."""
        base = self._server.base_url
        longest_first = sorted(self._mounts(), key=len, reverse=True)
        return next((m for m in longest_first if path.startswith(url_path_join(base, m, "/"))), API)

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI document."""
        from mcnb.server.openapi import openapi

        return openapi(url_path_join(self._server.base_url, API), mcnb.__version__)

    # Starting and stopping

    async def _start_jupyter_server_extension(self, serverapp: Any) -> None:
        self._begin()

    def _begin(self) -> None:
        if self._start is None and not self._stopping:
            self.ending: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._start = asyncio.ensure_future(self._open())
            self._start.add_done_callback(self._tell)

    def _tell(self, start: asyncio.Task[Services]) -> None:
        if not start.cancelled() and (error := start.exception()) is not None:
            self.log.error("mcnb could not start; its routes answer 503", exc_info=error)

    async def _open(self) -> Services:
        from mcnb.server.keeper import Settings
        from mcnb.server.metrics import metrics
        from mcnb.server.services import open_services

        places, files = self._places()
        services = await open_services(
            places,
            self._catalog_of(files),
            Settings(
                queue_length=self.queue_length,
                running=self.running,
                max_output_tokens=self.max_output_tokens,
                max_timeout=self.max_timeout,
                default_timeout=self.default_timeout,
                retention_age=self.retention_age,
                retention_count=self.retention_count,
                stop_grace=self.stop_grace,
            ),
            self._kernels,
        )
        metrics().follow(services.keeper.ready, lambda: len(self.watching))
        return services

    def _places(self) -> tuple[list[Path], list[Path]]:
        """Return the databases to try, and the compose files."""
        from jupyter_core.paths import jupyter_data_dir

        from mcnb.server.services import databases

        root = Path(self._server.root_dir)
        files = [root / Path(name).expanduser() for name in self.compose_files]
        if not self.compose_files:
            files = [root / name for name in FILE_NAMES if (root / name).is_file()][:1]
        own = [root / Path(self.database).expanduser()] if self.database else []
        return own or databases(Path(jupyter_data_dir()), root), files

    def _catalog_of(self, files: Sequence[Path]) -> Catalog:
        from mcnb.server.catalog import Catalog

        return Catalog(files)

    def _kernels(self, owner: str) -> Kernels:
        from mcnb.server.kernels import Kernels

        return Kernels(
            self._server.kernel_manager,
            owner=owner,
            kernel_name=self.kernel_name,
            poll_interval=self.poll_interval,
        )

    async def services(self) -> Services:
        """Return what handlers work with, once it is open.

        Raises
        ------
        ServerError
            When it could not be opened.
        """
        self._begin()
        if self._start is None:
            raise ServerStoppingError("the server is stopping")
        try:
            return await asyncio.shield(self._start)
        except McnbError as error:
            raise ServerError(f"mcnb could not start: {error}") from error
        except Exception as error:
            raise ServerError("mcnb could not start; the server's log says why") from error

    async def catalog(self) -> Catalog:
        """Return the compose files as they are now."""
        catalog = (await self.services()).catalog
        await asyncio.to_thread(catalog.refresh)
        return catalog

    def follow(self, run: LiveRun) -> None:
        """Count a new run, and its end."""
        from mcnb.server.metrics import metrics

        metrics().accepted.inc()
        task = asyncio.ensure_future(self._count(run))
        self._followed.add(task)
        task.add_done_callback(self._followed.discard)

    async def _count(self, run: LiveRun) -> None:
        from mcnb.server.metrics import metrics

        row = await run.wait()
        if run.done:  # otherwise the next server goes on with it
            metrics().over(row)

    async def stop_extension(self) -> None:
        """End what runs, tell the clients that wait, and close everything."""
        from mcnb.server.metrics import metrics

        self._stopping = True
        if self._start is None:
            return
        try:
            services = await self._start
        except Exception:  # it has been told when it happened
            services = None
        try:
            if services is not None:
                await services.close()
        finally:
            if not self.ending.done():
                self.ending.set_result(None)
            for task in self._followed:
                task.cancel()
            if self._followed:
                await asyncio.wait(self._followed, timeout=LAST_WORDS)
            metrics().forget()

    def current_activity(self) -> Any:
        """Return what keeps the server from shutting down when it is idle: the runs that are not over."""
        start = self._start
        if start is None or not start.done() or start.cancelled() or start.exception() is not None:
            return None
        ready = start.result().keeper.ready()
        return {"runs": ready["queued"] + ready["running"]} if ready["queued"] + ready["running"] else None
