"""Python and magics, in a Jupyter kernel of the workspace."""

from __future__ import annotations

import re
import subprocess
from typing import Any

from jupyter_client.manager import KernelManager

from tools.check_docs.shell import LONGEST, Failed
from tools.check_docs.workspace import Workspace

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Kernel:
    """Runs the cells of one file, one after the other; starts with the first one.

    Parameters
    ----------
    workspace : Workspace
        Where.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._manager: KernelManager | None = None
        self._client: Any = None

    def run(self, code: str) -> None:
        """Run a cell, or raise ``Failed``."""
        if self._client is None:
            self._start()
        reply = self._client.execute_interactive(
            code, timeout=LONGEST, allow_stdin=False, output_hook=lambda _: None, store_history=True
        )
        content = reply["content"]
        if content["status"] != "ok":
            frames = _COLOURS.sub("", "\n".join(content.get("traceback", [])))
            raise Failed(f"{content.get('ename')}: {content.get('evalue')}\n{frames}")

    def close(self) -> None:
        """End the kernel."""
        if self._manager is not None:
            self._client.stop_channels()
            self._manager.shutdown_kernel(now=True)
            self._manager = self._client = None

    def _start(self) -> None:
        manager = KernelManager()
        command = [self.workspace.python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        if manager.kernel_spec is None:
            raise Failed("there is no Python kernel")
        manager.kernel_spec.argv = command
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}  # what cells write is not looked at
        manager.start_kernel(cwd=str(self.workspace.folder), env=self.workspace.environment, **quiet)
        self._manager, self._client = manager, manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)
