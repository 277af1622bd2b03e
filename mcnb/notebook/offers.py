"""What can stand at a place of a ``%compose`` line."""

from __future__ import annotations

import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mcnb.compose import Input
from mcnb.models.parameters import DEFAULTS
from mcnb.notebook.completing import Line
from mcnb.notebook.connected import Connected
from mcnb.notebook.inputs import read_env
from mcnb.notebook.parser import COMMANDS, make_parsers, options_of
from mcnb.notebook.source import Source
from mcnb.runtime import Offering, Run, default_runtime

if TYPE_CHECKING:
    from mcnb.notebook.commands import Commands

_ENDINGS = (".yml", ".yaml")
_SHORT_ID = 8
_ENVIRONMENT = re.compile(r"\$\{\s*env\.(\w+)")
_NO_DATA = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type, Run, Offering)


class Offers:
    """What a line can go on with. Nothing here loads a model.

    Parameters
    ----------
    commands : Commands
        They know what is loaded.
    line : Line
        What the line says so far.
    """

    def __init__(self, commands: Commands, line: Line) -> None:
        self._commands = commands
        self._line = line

    def commands(self) -> list[str]:
        """Return the commands."""
        return [*COMMANDS, "--help"]

    def options(self) -> list[str]:
        """Return the options of the command."""
        parser = make_parsers().get(self._line.command or "")
        return [] if parser is None else [name for action in options_of(parser) for name in action.option_strings]

    def positional(self, word: str) -> list[str]:
        """Return what can stand without an option."""
        command = self._line.command
        if command in ("load", "validate"):
            return _files(word)
        if self._line.positional:
            return []
        if command in ("run", "form", "schema", "graph"):
            return [name for name in self._source().workflows() if not name.startswith("__")]
        if command == "cancel":
            return [run.id[:_SHORT_ID] for run in self._runs() if not run.done]
        if command == "unload":
            return [model.name for model in default_runtime().cache.residents()]
        return []

    def behind(self, option: str, word: str) -> list[str]:
        """Return what can stand behind an option."""
        if option == "-f":
            return _files(word)
        if option == "-i":
            return [f"{name}=" for name in self.input_names() if name not in self._line.pairs]
        if option == "-p":
            return [f"{name}=" for name in DEFAULTS if name not in self._line.pairs]
        if option == "-e":
            return [f"{name}=" for name in self._environment()]
        if option == "--input":
            return self._variables(Mapping)
        return self._variables(int | float) if option in ("--seed", "--timeout") else []

    def values(self, option: str, name: str, value: str) -> list[str]:
        """Return the values that ``-i name=`` or ``-p name=`` can have."""
        if option == "-e":
            return []
        found = _parameter_values(name) if option == "-p" else self._input_values(name)
        return [*found, *(self._variables() if value.startswith("$") or not found else [])]

    def input_names(self) -> list[str]:
        """Return the names of the workflow's inputs; of those that are required, first."""
        inputs = sorted(self._inputs(), key=lambda item: not item.required)
        return [item.name for item in inputs]

    def _input_values(self, name: str) -> list[str]:
        item = next((item for item in self._inputs() if item.name == name), None)
        if item is None or item.type.is_array:
            return []
        if item.type.name == "boolean":
            return ["true", "false"]
        return [_quoted(option) for option in item.options]

    def _variables(self, kind: Any = object) -> list[str]:
        shell = self._commands.shell
        return [
            f"${name}"
            for name, value in sorted(shell.user_ns.items())
            if not name.startswith("_")
            and name not in shell.user_ns_hidden
            and isinstance(value, kind)
            and not isinstance(value, _NO_DATA)
        ]

    def _inputs(self) -> tuple[Input, ...]:
        workflow = self._line.positional[0] if self._line.positional else None
        return tuple(self._source().inputs(workflow))

    def _environment(self) -> list[str]:
        """Return the names of the environment values that the document mentions; a server has its own."""
        source = self._source()
        return sorted(set(_ENVIRONMENT.findall(str(source.read().source)))) if isinstance(source, Source) else []

    def _runs(self) -> Sequence[Run]:
        source = self._commands.source
        return default_runtime().runs if isinstance(source, Source) else source.compose.runs

    def _source(self) -> Source | Connected:
        source = Source(self._line.files) if self._line.files else self._commands.source
        return source.with_values(read_env(self._line.env, self._commands.shell.user_ns))


def _parameter_values(name: str) -> list[str]:
    return ["true", "false"] if isinstance(DEFAULTS.get(name), bool) else []


def _files(word: str) -> list[str]:
    """Return the folders and the compose files that a path can go on with."""
    folder, slash, _ = word.strip("\"'").rpartition("/")
    found = []
    for path in sorted(Path(folder + slash).expanduser().iterdir(), key=lambda path: path.name):
        if path.name.startswith("."):
            continue
        if path.is_dir():
            found.append(f"{folder}{slash}{path.name}/")
        elif path.suffix in _ENDINGS:
            found.append(f"{folder}{slash}{path.name}")
    return [_quoted(text) for text in sorted(found, key=lambda text: text.endswith("/"))]


def _quoted(text: str) -> str:
    return f'"{text}"' if any(character.isspace() or character in "'" for character in text) else text
