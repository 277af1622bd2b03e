"""Fixtures for the tests of the command."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from click.testing import CliRunner

from mcnb.cli.group import mcnb
from mcnb.models.cache import shared_cache
from tests.support.runs import home, marathon, models  # noqa: F401


class Result(NamedTuple):
    """How a command ended: exit code, standard output as bytes, standard error."""

    code: int
    data: bytes
    error: str

    @property
    def text(self) -> str:
        return self.data.decode()


Command = Callable[..., Result]


@pytest.fixture
def folder(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """An empty working directory."""
    made = home / "work"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def command(folder: Path) -> Command:
    """Run the command in this process: ``command("run", "-i", "prompt=a", input="...")``."""

    def run(*arguments: str | Path, input: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(mcnb, list(map(str, arguments)), input=input, prog_name="mcnb")
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert "Traceback" not in result.stderr
        return Result(result.exit_code, result.stdout_bytes, result.stderr)

    return run


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays_loaded() -> Iterator[None]:
    yield
    shared_cache().unload()


def write(path: Path, text: str) -> Path:
    """Write a file and return it."""
    path.write_text(text, encoding="utf-8")
    return path
