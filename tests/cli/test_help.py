"""What the command says about itself."""

from __future__ import annotations

import re

import click
import pytest

import mcnb as package
from mcnb.cli.group import mcnb
from tests.cli.conftest import Command

NAMES = ["run", "repeat", "up", "ps", "logs", "down", "validate", "schema", "render", "models"]
PATHS = [[], *([name] for name in NAMES), *(["models", name] for name in ("list", "fetch", "estimate", "remove"))]


def test_version(command: Command) -> None:
    assert command("--version").text == f"mcnb {package.__version__}\n"


@pytest.mark.parametrize("path", PATHS, ids=lambda path: " ".join(path) or "mcnb")
def test_help_is_calm(command: Command, path: list[str]) -> None:
    result = command(*path, "--help")
    assert result.code == 0
    lines = result.text.splitlines()
    assert lines[0].startswith(" ".join(["Usage: mcnb", *path]))
    assert max(map(len, lines)) <= 100
    assert not re.search(r"\\b|TODO|  $|\t", result.text)
    assert command(*path, "-h").text == result.text


@pytest.mark.parametrize("path", PATHS, ids=lambda path: " ".join(path) or "mcnb")
def test_everything_has_a_sentence(path: list[str]) -> None:
    found: click.Command = mcnb
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    assert found.help
    assert found.help.split("\n\n")[0].endswith(".")
    for option in found.params:
        if isinstance(option, click.Option):
            assert option.help, option.name
            assert option.help.endswith((".", "it.")), option.name


def test_without_arguments_the_help_is_shown(command: Command) -> None:
    result = command()
    assert result.code in (0, 2)  # click changed its mind in 8.2
    assert "Commands:" in result.text + result.error
    for name in NAMES:
        assert f"  {name} " in result.text + result.error


@pytest.mark.parametrize(("word", "hint"), [("rum", "did you mean 'run'?"), ("model", "did you mean 'models'?")])
def test_a_mistyped_command(command: Command, word: str, hint: str) -> None:
    result = command(word)
    assert result.code == 2
    assert result.error.splitlines()[-1] == f"Error: No such command '{word}'; {hint}"


def test_a_command_that_is_none(command: Command) -> None:
    result = command("qqq")
    assert result.code == 2
    assert "No such command 'qqq'" in result.error


def test_a_mistyped_option(command: Command) -> None:
    result = command("run", "--sed", "1")
    assert result.code == 2
    assert "--seed" in result.error
