"""A real Jupyter kernel gateway, as a process of its own: on this host or another one, killed and started again."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from .server_process import ROOT, free_port

PATIENCE = 60.0
"""Seconds for a gateway to come up, or to leave."""

Launch = Callable[..., "subprocess.Popen[bytes]"]
"""Starts a command line, on whichever host; takes the options of a Popen."""


class GatewayProcess:
    """One gateway; it keeps its address and its token when it is started again.

    Parameters
    ----------
    folder : Path
        Holds its log, and the working directory of its kernels.
    address : str
        Where it listens.
    port : int, optional
        By default one that is free on this host.
    launch : callable
        Starts it.
    options
        Further ones of its command line.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        address: str = "127.0.0.1",
        port: int | None = None,
        launch: Launch = subprocess.Popen,
    ) -> None:
        self.folder = folder
        self.token = secrets.token_hex(16)
        self.address = address
        self.port = free_port() if port is None else port
        self._launch = launch
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "work").mkdir(parents=True, exist_ok=True)

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def access(self) -> dict[str, str]:
        """The environment of a server that uses it."""
        return {"JUPYTER_GATEWAY_URL": self.url, "JUPYTER_GATEWAY_AUTH_TOKEN": self.token}

    @property
    def log(self) -> str:
        """What it and its kernels wrote."""
        path = self.folder / "gateway.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> GatewayProcess:
        """Start it and wait until it listens."""
        before = len(self.log)
        line = [sys.executable, "-m", "kernel_gateway", f"--ip={self.address}", f"--port={self.port}"]
        with (self.folder / "gateway.log").open("ab") as log:
            self._process = self._launch(
                [*line, "--KernelGatewayApp.port_retries=0", *self._options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._variables(),
                cwd=self.folder / "work",
            )
        end = time.monotonic() + PATIENCE
        while "is available at" not in self.log[before:]:
            assert self._process.poll() is None, self.log[-4000:]
            assert time.monotonic() < end, self.log[-4000:]
            time.sleep(0.02)
        return self

    def kernels(self) -> list[int]:
        """Return the process ids of its kernels that are alive."""
        process = psutil.Process(self._running().pid)
        return [child.pid for child in process.children(recursive=True) if _is_kernel(child)]

    def kill(self) -> None:
        """End it as ``kill -9`` does; its kernels notice by themselves."""
        process = psutil.Process(self._running().pid)
        for one in [process, *(child for child in process.children(recursive=True) if not _is_kernel(child))]:
            one.kill()
        self._running().wait()

    def stop(self) -> None:
        """End it, and its kernels."""
        if self._process is None or self._process.poll() is not None:
            return
        kernels = self.kernels()
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
        for pid in kernels:
            if psutil.pid_exists(pid) and _is_kernel(psutil.Process(pid)):
                os.kill(pid, signal.SIGKILL)

    def __enter__(self) -> GatewayProcess:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _running(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "the gateway was not started"
        return self._process

    def _variables(self) -> dict[str, str]:
        ours = ("JUPYTER", "IPYTHON", "JPY_", "MCNB", "HF_", "KG_", "KERNEL_")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        own: dict[str, Any] = {
            "MCNB_HOME": self.folder / "mcnb",
            "HF_HUB_OFFLINE": "1",
            "JUPYTER_RUNTIME_DIR": self.folder / "runtime",
            "IPYTHONDIR": self.folder / "ipython",
            "PYTHONPATH": ROOT,
        }
        return {
            **kept,
            **{name: str(value) for name, value in own.items()},
            "KG_AUTH_TOKEN": self.token,
            "KG_ENV_PROCESS_WHITELIST": ",".join([*own, "HOME"]),
        }


def _is_kernel(process: psutil.Process) -> bool:
    try:
        return any("ipykernel_launcher" in word for word in process.cmdline())
    except psutil.Error:
        return False
