"""The outputs in the examples' pages are what the commands above them print, on the real model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
from click.testing import CliRunner

from mcnb.cli.group import mcnb
from mcnb.models.cache import shared_cache
from tests.examples.readmes import ROOT, Shown, as_shown, machine_of_the_outputs, shown
from tests.examples.regenerate import MACHINE

SHOWN = list(shown())


@pytest.fixture(scope="module", autouse=True)
def _nothing_stays_loaded() -> Iterator[None]:
    yield
    shared_cache().unload()


@pytest.fixture(scope="module")
def same_machine() -> bool:
    """Whether every bit has to be the same here."""
    return bool(json.loads(MACHINE.read_text(encoding="utf-8")) == machine_of_the_outputs())


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """What the command prints where the page says it is run."""
    monkeypatch.chdir(ROOT)
    if home := os.environ.get("MCNB_TEST_HOME"):
        monkeypatch.setenv("MCNB_HOME", home)
    result = CliRunner().invoke(mcnb, list(request.param.arguments), prog_name="mcnb")
    assert result.exit_code == 0, result.stderr
    return as_shown(result.stdout_bytes.decode())


@pytest.mark.real_model
@pytest.mark.parametrize(
    ("found", "printed"), [(item, item) for item in SHOWN], ids=map(str, SHOWN), indirect=["printed"]
)
def test_a_command_prints_what_its_page_shows(found: Shown, printed: str, same_machine: bool) -> None:
    assert stable(printed) == stable(found.output)
    if same_machine:
        assert printed == found.output, "run: make examples"


def stable(output: str) -> Any:
    """What every machine prints: the shape of an output, and how its texts begin.

    A model's first words are hardly ever close to others; later ones can be, and then a CPU that rounds differently
    takes another way.
    """
    try:
        return shape(json.loads(output))
    except json.JSONDecodeError:
        return shape(output)


def shape(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    return value.split()[:1] if isinstance(value, str) else value


def test_every_example_that_runs_without_the_hub_shows_its_output() -> None:
    folders = {path.parent for path in ROOT.glob("examples/**/model-compose.yml")}
    assert folders - {item.page.parent for item in SHOWN} == {ROOT / "examples" / "models" / "blenderbot-400m-distill"}


def test_every_command_that_is_shown_says_its_seed() -> None:
    assert [str(item) for item in SHOWN if "--seed" not in item.arguments] == []
