"""A Jupyter server with the extension in a thread of the test's process, and a client of it."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import httpx

BASE_URL = "/a%40b/"
"""Odd on purpose: links must carry it, and it must not be decoded."""
TOKEN = "secret-token"
PATIENCE = 60
"""Seconds after which a test gives up on its server."""

_Value = TypeVar("_Value")


class JupyterServer:
    """A real server on a port of its own; close it.

    Parameters
    ----------
    root : Path
        Its root folder.
    traits : mapping, optional
        Of the extension.
    config : mapping, optional
        Further configuration, by class.
    token : str
        Empty: authentication is off.
    """

    def __init__(
        self,
        root: Path,
        traits: dict[str, Any] | None = None,
        config: dict[str, Any] | None = None,
        *,
        token: str = TOKEN,
        base_url: str = BASE_URL,
    ) -> None:
        self.token = token
        self._config = {
            "IdentityProvider": {"token": token},
            "McnbExtension": traits or {},
            **(config or {}),
        }
        self._config["ServerApp"] = {
            "jpserver_extensions": {"mcnb.server": True},
            "base_url": base_url,
            "root_dir": str(root),
            "port": 0,
            "open_browser": False,
            "allow_root": True,
            "log_level": logging.CRITICAL,
            **self._config.get("ServerApp", {}),
        }
        self._started: Future[int] = Future()
        self._thread = threading.Thread(target=self._serve, name="jupyter-server")
        self._thread.start()
        port = self._started.result(PATIENCE)
        self.url = f"http://127.0.0.1:{port}{base_url}"

    def _serve(self) -> None:
        from jupyter_server.serverapp import ServerApp
        from traitlets.config import Config

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            app = ServerApp(config=Config(self._config))
            app.init_signal = lambda: None

            async def initialize() -> None:
                app.initialize(argv=[], find_extensions=False)

            loop.run_until_complete(initialize())
            self.app = app
            (socket, *_) = app.http_server._sockets.values()
            port = socket.getsockname()[1]
            loop.call_soon(lambda: self._started.set_result(port))
            app.start()
        except BaseException as error:
            if not self._started.done():
                self._started.set_exception(error)
            raise
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.run_until_complete(loop.shutdown_default_executor())
            asyncio.set_event_loop(None)
            loop.close()

    @property
    def extension(self) -> Any:
        """The extension, as the server loaded it."""
        (app,) = self.app.extension_manager.extension_apps["mcnb.server"]
        return app

    def call(self, function: Callable[[], _Value]) -> _Value:
        """Call a function in the server's event loop."""
        found: Future[_Value] = Future()

        def run() -> None:
            try:
                found.set_result(function())
            except BaseException as error:
                found.set_exception(error)

        self.app.io_loop.add_callback(run)
        return found.result(PATIENCE)

    def client(self, **options: Any) -> httpx.Client:
        """Return a client that knows the token."""
        headers = {"Authorization": f"token {self.token}"} if self.token else {}
        return httpx.Client(base_url=self.url, headers=headers, timeout=PATIENCE, trust_env=False, **options)

    def close(self) -> None:
        """Stop the server as a signal would."""
        if self._thread.is_alive():
            self.app.io_loop.add_callback(self.app._stop)
            self._thread.join(PATIENCE)
            assert not self._thread.is_alive(), "the server did not stop"
