"""JupyterLab and Voila with a real kernel, driven by headless Chromium."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pytest

TOKEN = "test"
START_SECONDS = 60
PATIENCE = 120_000
"""Milliseconds to wait for anything: models compute while the tests look on."""

CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_OPTIONS = (
    "--no-sandbox",  # it may run as root in a container
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--disable-background-networking",  # it would wait for hosts it cannot reach
)


Comms: TypeAlias = Literal["perCommTarget", "perComm", "disabled"]
"""How JupyterLab sends the messages of widgets; the first is its default."""


def chromium() -> str | None:
    """Return where Chromium is, or None."""
    return next((found for name in CHROMIUM_NAMES if (found := shutil.which(name))), None)


def needs(*modules: str) -> list[Any]:
    """Return the marks of tests in a browser: they are skipped, with the reason, where something is missing."""
    missing = [name for name in ("playwright", *modules) if importlib.util.find_spec(name) is None]
    return [
        pytest.mark.browser,
        pytest.mark.real_model,
        pytest.mark.skipif(chromium() is None, reason="there is no Chromium on this machine"),
        pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}"),
    ]


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab."""

    port: int

    def address(self, notebook: str) -> str:
        """Return the address of a notebook, in a workspace of its own."""
        return f"http://127.0.0.1:{self.port}/lab/workspaces/test/tree/{notebook}?token={TOKEN}&reset"


@contextlib.contextmanager
def running_lab(
    folder: Path,
    state: Path,
    *,
    dark: bool = False,
    comms: Comms = "perCommTarget",
    settings: dict[str, Any] | None = None,
) -> Iterator[Lab]:
    """Start JupyterLab in a folder, with all its own files under `state`; `settings` are overrides by plug-in."""
    place = state / "data" / "lab" / "settings"
    place.mkdir(parents=True, exist_ok=True)
    overrides = {
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
        "@jupyterlab/apputils-extension:themes": {"theme": f"JupyterLab {'Dark' if dark else 'Light'}"},
        "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": comms},
        **(settings or {}),
    }
    (place / "overrides.json").write_text(json.dumps(overrides))
    port = _free_port()
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={TOKEN}"]
    command += [f"--ServerApp.root_dir={folder}", "--LabApp.expose_app_in_browser=True"]
    command += [f"--LabApp.user_settings_dir={state / 'user-settings'}", f"--LabApp.workspaces_dir={state / 'spaces'}"]
    command += [f"--LabApp.app_settings_dir={place}", "--LabApp.extension_manager=readonly"]
    command += ["--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with _running(command, state, f"http://127.0.0.1:{port}/api?token={TOKEN}"):
        yield Lab(port)


@contextlib.contextmanager
def running_voila(notebook: Path, state: Path, *, dark: bool = False) -> Iterator[str]:
    """Start Voila with a notebook as a web page; gives its address."""
    port = _free_port()
    command = [sys.executable, "-m", "voila", str(notebook), "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    command += [f"--theme={'dark' if dark else 'light'}"]
    address = f"http://127.0.0.1:{port}/"
    with _running(command, state, f"{address}voila/static/voila.js"):
        yield address


@contextlib.contextmanager
def _running(command: list[str], state: Path, probe: str) -> Iterator[None]:
    """Keep a server running, with its own configuration, until it is not needed any more."""
    environment = {
        **os.environ,
        "JUPYTER_CONFIG_DIR": str(state / "config"),
        "JUPYTER_DATA_DIR": str(state / "data"),
        "JUPYTER_RUNTIME_DIR": str(state / "runtime"),
        "IPYTHONDIR": str(state / "ipython"),
        "JUPYTER_PLATFORM_DIRS": "1",
    }
    with (state / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_for(probe, server, state / "server.log")
            yield
        finally:
            server.terminate()
            server.wait(30)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(START_SECONDS * 10):
        if server.poll() is not None:
            raise RuntimeError(f"the server ended at once:\n{log.read_text()[-2000:]}")
        try:
            urllib.request.urlopen(address, timeout=1).close()
            return
        except urllib.error.HTTPError:  # it answers, if only that there is no such page
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(f"the server did not answer:\n{log.read_text()[-2000:]}")


@contextlib.contextmanager
def open_page(address: str, *, width: int = 1200, height: int = 900) -> Iterator[Any]:
    """Open an address in Chromium; gives Playwright's page."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), headless=True, args=list(CHROMIUM_OPTIONS))
        try:
            page = browser.new_page(viewport={"width": width, "height": height})
            page.set_default_timeout(PATIENCE)
            page.goto(address)
            yield page
        finally:
            browser.close()


@contextlib.contextmanager
def open_notebook(lab: Lab, notebook: str, *, width: int = 1200, height: int = 900) -> Iterator[Any]:
    """Open a notebook in JupyterLab and wait for its kernel; gives Playwright's page."""
    with open_page(lab.address(notebook), width=width, height=height) as page:
        page.wait_for_function(
            "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'",
            timeout=60_000,
        )
        yield page


def run_all(page: Any) -> None:
    """Run all cells; returns at once."""
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
