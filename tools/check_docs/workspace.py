"""The fresh copy of the repository that commands run in."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from pathlib import Path

from tools.check_docs.documents import ROOT

INSTALL = ("make", ".venv/.dev")


class Workspace:
    """A copy of what git knows or would take, with an environment of its own.

    Parameters
    ----------
    folder : Path
        Where it is, or will be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join([str(folder / ".venv" / "bin"), os.environ.get("PATH", os.defpath)]),
            "MCNB_TOKEN": secrets.token_hex(16),
            "JUPYTER_PREFER_ENV_PATH": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PYTHONUNBUFFERED": "1",
        }
        for name in ("VIRTUAL_ENV", "PYTHONPATH", "JUPYTER_TOKEN", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"):
            self.environment.pop(name, None)

        self.environment["CURL_HOME"] = str(folder / ".curl")

    @property
    def python(self) -> str:
        """The interpreter of its environment."""
        return str(self.folder / ".venv" / "bin" / "python")

    def fill(self) -> None:
        """Copy the repository, and install it as its Makefile does."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).is_file():
                (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.folder / name)
        curl = Path(self.environment["CURL_HOME"])
        curl.mkdir(exist_ok=True)
        (curl / ".curlrc").write_text("fail-with-body\n", encoding="utf-8")  # an HTTP error is a failure
        subprocess.run(INSTALL, cwd=self.folder, env=self.environment, check=True)
