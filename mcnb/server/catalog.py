"""Catalog: the workflows that a server offers, from compose files that people may edit while it runs."""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcnb.compose import Document, Environment, load_document
from mcnb.compose.environment import ENV_FILE
from mcnb.compose.files import FILE_NAMES
from mcnb.compose.schema import Workflow
from mcnb.compose.suggest import listed, suggestion
from mcnb.compose.yaml_reader import MAX_BYTES
from mcnb.errors import DocumentError, InvalidInputError, NotFoundError
from mcnb.runtime.redaction import blacken
from mcnb.server.secrets import secrets_in

UNNAMED = "__workflow__"
"""The id of a workflow that nobody gave one."""

COMPOSE_KEYS = frozenset({"component", "components", "controller", "workflow", "workflows"})
"""A YAML file of a folder with none of these is about something else."""

_BEGINS_LIKE_ONE = re.compile(rb"^[{\"']*(?:components?|controller|workflows?)[\"']?\s*:", re.MULTILINE)

_State = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True)
class Entry:
    """A workflow as the server offers it.

    Attributes
    ----------
    id : str
        What requests call it.
    document : Document
        The file it stands in, as it was when it was read.
    workflow : Workflow
        What runs.
    default : bool
        Whether a request that names no workflow means this one.
    """

    id: str
    document: Document
    workflow: Workflow
    default: bool


@dataclass(frozen=True)
class _File:
    """A compose file as it was when it was last looked at; `document` is its last good version."""

    path: Path
    state: _State
    document: Document | None
    problem: str | None


class Catalog:
    """The workflows of some compose files.

    A file that can no longer be loaded keeps its last good version, and takes no other file down. Workflows that say
    ``private: true`` are not offered. Names in requests are looked up here and never become paths.

    Parameters
    ----------
    paths : sequence of Path
        Compose files; of a folder, the compose file in it, or every ``*.yml`` and ``*.yaml`` that is one. Links that
        lead out of such a folder are not followed.
    environment : Environment, optional
        Where ``${env.NAME}`` takes its values from.

    Attributes
    ----------
    entries : tuple of Entry
        In the order of the files and of the workflows in them.
    problems : tuple of str
        What is wrong with files that could not be loaded; environment values and the server's folders left out.
    """

    def __init__(self, paths: Sequence[Path], environment: Environment | None = None) -> None:
        self.paths = tuple(paths)
        self.environment = environment
        self.entries: tuple[Entry, ...] = ()
        self.problems: tuple[str, ...] = ()
        self._files: dict[Path, _File] = {}
        self._lock = threading.Lock()

    def refresh(self) -> None:
        """Load what is new or has changed. It reads files: call it in a thread."""
        with self._lock:
            problems: list[str] = []
            known: dict[Path, _File] = {}
            for path in self._found(problems):
                known[path] = self._looked_at(path)
            offered = [file for file in known.values() if file.document is not None]
            self._files = known
            self.entries = tuple(_entries([(file.path, file.document) for file in offered if file.document]))
            self.problems = (*problems, *(file.problem for file in known.values() if file.problem))

    def find(self, workflow_id: str | None) -> Entry:
        """Return the workflow of an id, or the default one.

        Raises
        ------
        NotFoundError
            When there is none of that id.
        InvalidInputError
            When none is named and none is the default.
        """
        entries = self.entries
        names = [entry.id for entry in entries]
        if workflow_id is not None:
            for entry in entries:
                if entry.id == workflow_id:
                    return entry
            hint = suggestion(workflow_id, names, otherwise="the server has none that can be run")
            raise NotFoundError(f"there is no workflow '{_short(workflow_id)}'", hint=hint)
        if not entries:
            raise NotFoundError("there is no workflow: none of the server's compose files could be loaded")
        for entry in entries:
            if entry.default:
                return entry
        message = "there are several workflows and none is the default"
        errors = [{"field": "workflow_id", "message": message}]
        raise InvalidInputError(message, errors=errors, hint=f"name one as workflow_id: {listed(names)}")

    def _found(self, problems: list[str]) -> Iterator[Path]:
        """Return the files there are, each once; of a folder that cannot be read, those it had."""
        seen: set[str] = set()
        for path in self.paths:
            had = [file for file in self._files if file.parent == path]
            try:
                files = list(_files_of(path)) if path.is_dir() else had or [path]
            except OSError as error:
                problems.append(f"{path.name}: cannot read the folder: {error.strerror or error}")
                files = had
            for file in files:
                if (real := os.path.realpath(file)) not in seen:
                    seen.add(real)
                    yield file

    def _looked_at(self, path: Path) -> _File:
        before = self._files.get(path)
        state = self._state(path)
        if before is not None and before.state == state:
            return before
        try:
            document = load_document(*self.read_with(path), environment=self.environment)
        except DocumentError as error:
            if path not in self.paths and not _is_meant(path):
                return _File(path, state, None, None)
            told = str(blacken(str(error), secrets_in(path, self.environment)))
            for file in (path, *self._env_files(path)):
                told = told.replace(f"{file.parent}{os.sep}", "")
            return _File(path, state, before.document if before is not None else None, told)
        if path not in self.paths and not COMPOSE_KEYS & document.source.keys():
            return _File(path, state, None, None)
        return _File(path, state, document, None)

    def _state(self, path: Path) -> _State:
        """Return what changes when a file, or an env file it takes values from, is written."""
        return tuple(_stat(file) for file in (*self.read_with(path), *self._env_files(path)))

    def read_with(self, path: Path) -> tuple[Path, ...]:
        """Return the files that a document is read from, in the order in which they are merged: here, one."""
        return (path,)

    def _env_files(self, path: Path) -> tuple[Path, ...]:
        given = self.environment.files if self.environment is not None else ()
        return given or (path.parent / ENV_FILE,)


def _stat(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _files_of(path: Path) -> Iterator[Path]:
    """Return the compose files of a folder; links that lead out of it are none."""
    folder = os.path.realpath(path)
    found = sorted(item for item in path.iterdir() if item.suffix in (".yml", ".yaml"))
    inside = [item for item in found if _is_within(os.path.realpath(item), folder) and item.is_file()]
    own = [item for name in FILE_NAMES for item in inside if item.name == name]
    yield from own[:1] or inside


def _is_within(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _is_meant(path: Path) -> bool:
    """Whether a file of a folder that cannot be loaded is meant as a compose file: somebody should hear of it."""
    try:
        with path.open("rb") as stream:
            return _BEGINS_LIKE_ONE.search(stream.read(MAX_BYTES)) is not None
    except OSError:
        return True


def _entries(files: Sequence[tuple[Path, Document]]) -> Iterator[Entry]:
    """Name the workflows of some files."""
    offered = [(path, document, item) for path, document in files for item in document.workflows if not item.private]
    alone = len(files) == 1
    ids = [workflow.id if alone or workflow.id != UNNAMED else _name(path) for path, _, workflow in offered]
    count = Counter(ids)
    ids = [
        f"{_name(path)}.{name}" if count[name] > 1 else name for name, (path, _, _) in zip(ids, offered, strict=True)
    ]
    used: Counter[str] = Counter()
    for name, (_, document, workflow) in zip(ids, offered, strict=True):
        used[name] += 1
        public = name if used[name] == 1 else f"{name}-{used[name]}"  # folders of one name, in different places
        yield Entry(public, document, workflow, len(offered) == 1 or (alone and _is_default(document, workflow)))


def _name(path: Path) -> str:
    """Return what a file is called: its stem, or its folder's name where all files are called the same."""
    return os.path.basename(os.path.dirname(os.path.abspath(path))) if path.name in FILE_NAMES else path.stem


def _is_default(document: Document, workflow: Workflow) -> bool:
    try:
        return document.workflow().id == workflow.id
    except InvalidInputError:
        return False


def _short(name: str) -> str:
    return name if len(name) <= 100 else f"{name[:100]}..."
