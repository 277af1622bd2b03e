"""A real Jupyter server with the extension, as a process of its own: started, killed, started again on its database."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

ROOT = Path(__file__).parents[2]
EXTENSION = "mcnb.server"
TRAITS = "McnbExtension"
"""The class whose traits the configuration sets."""

OTHERS = ("jupyterlab", "jupyter_lsp", "jupyter_server_terminals", "notebook_shim", "voila.server_extension")
"""Extensions that may be installed beside ours and are none of the tests' business."""

PATIENCE = 60.0
"""Seconds for a server to come up, or to leave."""


class ServerProcess:
    """One Jupyter server; everything it writes is under one folder, and it keeps its port when it is started again.

    Parameters
    ----------
    folder : Path
        Holds the server's settings, its log and, unless `traits` says otherwise, its database.
    documents : list of Path
        The compose files it serves.
    extensions : mapping, optional
        Further extensions: module and whether it is enabled.
    environment : mapping, optional
        Further environment variables.
    traits
        Of the extension.
    """

    def __init__(
        self,
        folder: Path,
        documents: list[Path],
        *,
        extensions: Mapping[str, bool] | None = None,
        environment: Mapping[str, str] | None = None,
        **traits: Any,
    ) -> None:
        self.folder = folder
        self.port = free_port()
        self.token = secrets.token_hex(16)
        self.database = Path(traits.pop("database", folder / "runs.db"))
        self._process: subprocess.Popen[bytes] | None = None
        self._seen: set[int] = set()
        self._environment = dict(environment or {})
        for name in ("config", "data", "runtime", "ipython", "work"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        settings = {
            "ServerApp": {
                "jpserver_extensions": {**dict.fromkeys(OTHERS, False), EXTENSION: True, **(extensions or {})},
                "ip": "127.0.0.1",
                "port": self.port,
                "port_retries": 0,
                "open_browser": False,
                "allow_root": True,
                "root_dir": str(folder / "work"),
            },
            "IdentityProvider": {"token": self.token},
            TRAITS: {"compose_files": [str(path) for path in documents], "database": str(self.database), **traits},
        }
        (folder / "config" / "jupyter_server_config.json").write_text(json.dumps(settings, indent=2))

    @property
    def pid(self) -> int:
        """Of the server that runs now."""
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def url(self) -> str:
        """Where its routes are, with a slash at the end."""
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def headers(self) -> dict[str, str]:
        """What a request needs to be let in."""
        return {"Authorization": f"token {self.token}"}

    @property
    def kernelspecs(self) -> Path:
        """The folder for kernel specifications of the server's own."""
        return self.folder / "data" / "kernels"

    @property
    def log(self) -> str:
        """What the server and its kernels wrote."""
        path = self.folder / "server.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> ServerProcess:
        """Start it and wait until it answers."""
        assert self._process is None or self._process.poll() is not None, "the server runs already"
        with (self.folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyter_server"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._variables(),
                cwd=self.folder / "work",
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        with httpx.Client(headers=self.headers, trust_env=False) as client:
            while time.monotonic() < end:
                if self._process.poll() is not None:
                    raise RuntimeError(f"the server left with {self._process.returncode}:\n{self.log[-4000:]}")
                try:
                    if client.get(self.url + "health").status_code == httpx.codes.OK:
                        return self
                except httpx.TransportError:
                    pass  # it does not listen yet
                time.sleep(0.02)
        raise RuntimeError(f"the server did not answer within {PATIENCE:.0f} s:\n{self.log[-4000:]}")

    def kill(self) -> None:
        """End it as ``kill -9`` does; its kernels notice by themselves."""
        self.kernels()
        process = self._running()
        process.kill()
        process.wait()

    def stop(self) -> None:
        """End it as Ctrl-C does, and whatever is left of it the hard way."""
        process = self._running()
        self.kernels()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for pid in self._seen:
            if _is_kernel(pid):
                kill(pid)

    def kernels(self) -> list[int]:
        """Return the process ids of the server's kernels that are alive."""
        found = [pid for pid in _children(self.pid) if _is_kernel(pid)]
        self._seen.update(found)
        return found

    def __enter__(self) -> ServerProcess:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the server was not started"
        return self._process

    def _variables(self) -> dict[str, str]:
        ours = ("JUPYTER", "IPYTHON", "JPY_", "MCNB", "HF_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        folders = {name: str(self.folder / name) for name in ("config", "data", "runtime", "ipython")}
        return {
            **kept,
            "JUPYTER_CONFIG_DIR": folders["config"],
            "JUPYTER_DATA_DIR": folders["data"],
            "JUPYTER_RUNTIME_DIR": folders["runtime"],
            "IPYTHONDIR": folders["ipython"],
            "MCNB_HOME": str(self.folder / "mcnb"),
            "HF_HUB_OFFLINE": "1",
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            **self._environment,
        }


def kill(pid: int) -> bool:
    """End a process as ``kill -9`` does; return False when there was none."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _children(pid: int) -> list[int]:
    """Return the ids of a process's children."""
    found: list[int] = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                status = (folder / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just left
            if int(status.rpartition(")")[2].split()[1]) == pid:  # the name, in brackets, may hold anything
                found.append(int(folder.name))
    return found


def _is_kernel(pid: int) -> bool:
    """Whether a process is a kernel and not dead: of one that waits to be reaped there is no command line."""
    try:
        return b"ipykernel_launcher" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
