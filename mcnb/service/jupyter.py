"""The Jupyter server of a service."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from jupyter_server.serverapp import ServerApp
from jupyter_server.services.contents.largefilemanager import AsyncLargeFileManager
from tornado.httpserver import HTTPServer

from mcnb.server.extension import McnbExtension
from mcnb.service.config import SERVICES

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class NoFiles(AsyncLargeFileManager):
    """A contents manager that serves no files, not even below ``/files``."""

    def get_extra_handlers(self) -> list[Any]:
        """Return none."""
        return []


class ServiceApp(ServerApp):
    """A Jupyter server that serves mcnb's routes alone, on sockets that are listened on already.

    Attributes
    ----------
    sockets : sequence of socket
    handler : logging.Handler
        Where the server and its extension log to.
    on_ready : callable
        Called once everything has started.
    on_finished : callable
        Awaited when it stops, once its runs are finished or given up.
    on_abandoned : callable
        Called before the process ends at once.
    """

    name = "mcnb-up"
    default_services: ClassVar[tuple[str, ...]] = SERVICES  # type: ignore[assignment, misc]
    sockets: Sequence[socket.socket] = ()
    handler: logging.Handler
    on_ready: Callable[[], None]
    on_finished: Callable[[], Awaitable[None]]
    on_abandoned: Callable[[], None]
    failure: Exception | None = None
    _is_finished = False

    def load_config_file(self, *_: Any, **__: Any) -> None:
        """Read no configuration: what the user set for other servers is not meant for this one."""

    def write_server_info_file(self) -> None:
        """Write none: the token stands in the service's state file alone."""

    def init_logging(self) -> None:
        """Let Jupyter and tornado write to the service's log."""
        super().init_logging()
        self.log.handlers = [self.handler]
        self.no_browser_open_file = True
        self.contents_manager_class = NoFiles

    def init_httpserver(self) -> None:
        """Serve on the sockets that were taken before."""
        self._http_server = HTTPServer(
            self.web_app, max_body_size=self.max_body_size, max_buffer_size=self.max_buffer_size
        )
        self.io_loop.add_callback(self._http_server.add_sockets, self.sockets)

    def init_signal(self) -> None:
        """Stop calmly at the first signal, at once at the second."""
        for number in _STOPPING:
            signal.signal(number, self._first_signal)

    def _first_signal(self, number: int, _: Any) -> None:
        for each in _STOPPING:
            signal.signal(each, self._second_signal)
        self.log.info("stopping: %s", signal.Signals(number).name)
        # wakes the loop, which tornado's add_callback does not from within its own thread
        self.io_loop.asyncio_loop.call_soon_threadsafe(self._begin_to_stop)  # type: ignore[attr-defined]

    def _begin_to_stop(self) -> None:
        self._ending = asyncio.ensure_future(self._stop_calmly())

    def _second_signal(self, *_: Any) -> None:
        try:
            self.on_abandoned()
        finally:
            os._exit(1)

    async def _stop_calmly(self) -> None:
        """Let the extension finish first: until then, requests are answered that the service is stopping."""
        try:
            await self.cleanup_extensions()
            await self.on_finished()
        except Exception:
            self.log.exception("not everything could be finished")
        self.stop()

    async def cleanup_extensions(self) -> None:
        """Stop the extension, once."""
        if not self._is_finished:
            self._is_finished = True
            await self.extension_manager.stop_all_extensions()  # type: ignore[no-untyped-call]

    def _extensions(self) -> list[McnbExtension]:
        return [app for apps in self.extension_manager.extension_apps.values() for app in apps]

    async def _post_start(self) -> None:
        try:
            await self.extension_manager.start_all_extensions()  # type: ignore[no-untyped-call]
            for extension in self._extensions():
                extension.log.handlers = [self.handler]
                extension.log.propagate = False
                await extension.services()
            await asyncio.to_thread(self.on_ready)
        except Exception as error:
            self.failure = error
            self.log.exception("could not start")
            self.stop()
