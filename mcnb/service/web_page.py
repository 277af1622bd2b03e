"""The web page's process, as the service sees it: it is started, watched, and ended."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable

from mcnb.service.log import ServiceLog
from mcnb.service.page.settings import API_ADDRESS, API_TOKEN, PageSettings

STOP_SECONDS = 10.0
INSTALL = "pip install 'mcnb[web]'"


def can_show_pages() -> bool:
    """Whether what draws the page is installed."""
    return all(importlib.util.find_spec(name) is not None for name in ("voila", "ipykernel", "anywidget"))


class WebPage:
    """The web page.

    Parameters
    ----------
    settings : PageSettings
    api : str
        The address of the service, with its base URL.
    log : ServiceLog
        Gets what the process writes, and that it ended.
    on_end : callable, optional
        Called, in another thread, when it ends without having been stopped.
    """

    def __init__(
        self, settings: PageSettings, api: str, log: ServiceLog, on_end: Callable[[int], None] | None = None
    ) -> None:
        self.settings = settings
        self._log = log
        self._on_end = on_end
        self._stopping = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "mcnb.service.page"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment(api, settings.token),
        )
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("both are pipes")
        log.read(self._process.stdout, "mcnb.page")
        self._process.stdin.write(settings.to_json().encode() + b"\n")
        self._process.stdin.flush()  # and left open: its end is the sign that the service is gone
        self._watch = threading.Thread(target=self._wait, name="mcnb-page-watch", daemon=True)
        self._watch.start()

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._process.poll() is None

    def stop(self) -> None:
        """End the process; its visitors' kernels end with it."""
        self._stopping.set()
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._watch.join(STOP_SECONDS)

    def kill(self) -> None:
        """End the process at once."""
        self._stopping.set()
        self._process.kill()
        self._process.wait()

    def _wait(self) -> None:
        code = self._process.wait()
        if self._stopping.is_set():
            return
        self._log.logger("mcnb.service").error(
            "the web page's process ended (exit code %s); the API goes on, 'mcnb up' again brings the page back", code
        )
        if self._on_end is not None:
            self._on_end(code)


def _environment(api: str, token: str) -> dict[str, str]:
    """Return the environment of the page and of its visitors' kernels."""
    secret = (API_TOKEN, "JUPYTER_TOKEN", "JUPYTER_GATEWAY_")  # the page's own kernels are on this machine
    kept = {name: value for name, value in os.environ.items() if not name.startswith(secret)}
    kept[API_ADDRESS] = api
    kept["PYTHONSAFEPATH"] = "1"  # nothing in the working directory takes the place of a module
    if token:
        kept[API_TOKEN] = token
    return kept
