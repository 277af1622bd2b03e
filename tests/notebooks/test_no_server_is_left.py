"""The notebook that starts a server stops it, also when one of its cells fails."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from papermill import PapermillExecutionError

from mcnb.service.registry import services
from tests.notebooks.executing import NOTEBOOKS, execute


def test_a_cell_that_fails_leaves_no_server(tmp_path: Path, only_here: None, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("MCNB_HOME", str(home))
    path = next(path for path in NOTEBOOKS if path.stem == "10-http-api")
    with pytest.raises(PapermillExecutionError):  # its first request is refused
        execute(path, tmp_path, {"model": "./no-model", "max_output_length": "many"})
    assert "400 POST" in next(home.glob("services/story-*.log")).read_text(encoding="utf-8")
    left = [psutil.Process(service.pid) for service in services()]
    _, alive = psutil.wait_procs(left, timeout=60)
    for process in alive:
        process.kill()
    assert alive == []
