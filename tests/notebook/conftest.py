"""Fixtures for the tests of the notebook interface."""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from traitlets.config import Config

from mcnb.models.cache import shared_cache
from tests.support.runs import ROOT, gate, home, marathon, models  # noqa: F401


class Shell:
    """A shell in this process that keeps what its cells show.

    Attributes
    ----------
    ip : InteractiveShell
        IPython's.
    published : list of dict
        What was displayed or updated, in order: ``data``, ``update``.
    """

    def __init__(self, ip: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
        self.ip = ip
        self._capsys = capsys
        ip.display_pub = CapturingDisplayPublisher()

    @property
    def published(self) -> list[dict[str, Any]]:
        return list(self.ip.display_pub.outputs)

    def run(self, code: str) -> ExecutionResult:
        """Run a cell; whatever it raises is in the result."""
        return self.ip.run_cell(code, store_history=True)

    def good(self, code: str) -> Any:
        """Run a cell that succeeds; return its value."""
        result = self.run(code)
        assert result.success, result.error_in_exec
        return result.result

    def error(self, code: str) -> BaseException:
        """Run a cell that fails; return its error."""
        result = self.run(code)
        assert result.error_in_exec is not None
        return result.error_in_exec

    def printed(self) -> str:
        """What was printed since the last time this was asked."""
        return self._capsys.readouterr().out


@pytest.fixture
def shell(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Shell]:  # noqa: F811
    """A shell with the extension, in an empty working directory."""
    folder = home / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("IPYTHONDIR", str(home / "ipython"))
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    InteractiveShell.clear_instance()
    made = InteractiveShell.instance(config=config)
    made.run_cell("%load_ext mcnb")
    assert capsys.readouterr().out == "", "loading the extension prints nothing"
    yield Shell(made, capsys)
    made.atexit_operations()
    atexit.unregister(made.atexit_operations)
    InteractiveShell.clear_instance()


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays_loaded() -> Iterator[None]:
    yield
    shared_cache().unload()


@pytest.fixture
def write(shell: Shell) -> Callable[[str], Path]:
    """Write the compose file of the working directory."""

    def make(text: str) -> Path:
        file = Path("model-compose.yml")
        file.write_text(text, encoding="utf-8")
        return file

    return make


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """An empty working directory for a real kernel, which finds the package and keeps its own files elsewhere."""
    made = home / "work"
    made.mkdir()
    monkeypatch.chdir(made)
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR"):
        monkeypatch.setenv(name, str(home / name.lower()))
    path = [str(ROOT), os.environ.get("PYTHONPATH")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))
    return made
