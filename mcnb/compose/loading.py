"""Files to Document."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mcnb.compose import environment
from mcnb.compose.checks import check, warn
from mcnb.compose.dialects import complete, reshape
from mcnb.compose.document import Document
from mcnb.compose.files import find_file, read_file
from mcnb.compose.nodes import Node, merge, to_plain
from mcnb.compose.problems import from_validation
from mcnb.compose.schema import ComposeFile
from mcnb.compose.schema.limits import Budget
from mcnb.compose.yaml_reader import read_text
from mcnb.errors import DocumentError, Location, Problem

MAX_PROBLEMS = 100
"""More are not told: something else is wrong with such a file."""


@dataclass(frozen=True)
class Environment:
    """Where ``${env.NAME}`` takes its values from.

    Attributes
    ----------
    files : tuple of Path
        ``--env-file``; without any, ``.env`` beside the compose file.
    overrides : mapping
        ``-e K=V``.
    """

    files: tuple[Path, ...] = ()
    overrides: Mapping[str, str] | None = None


def load_document(
    *paths: str | Path, text: str | None = None, name: str = "<text>", environment: Environment | None = None
) -> Document:
    """Load and check a compose file.

    Parameters
    ----------
    *paths : str or Path
        Files, in any dialect; a folder means the compose file in it. Mappings of later files are merged over earlier
        ones, lists replace. Without any path and text, the compose file of the working directory.
    text : str, optional
        The YAML itself, in place of files.
    name : str
        What to call the text in messages.
    environment : Environment, optional
        Where ``${env.NAME}`` takes its values from.

    Returns
    -------
    Document

    Raises
    ------
    DocumentError
        With every problem found, each with its file, line and column.
    """
    if text is not None:
        return _check([read_text(text, name)], Path.cwd(), (name,), environment)
    files = [find_file(Path(path)) for path in paths] or [find_file(Path())]
    return _check(_read_all(files), files[0].parent, tuple(str(path) for path in files), environment)


def document_from_source(source: Mapping[str, Any], folder: Path, environment: Environment | None = None) -> Document:
    """Load a document from the plain content that a record holds."""
    return _check([_node(source)], folder, ("<record>",), environment)


def _read_all(files: Sequence[Path]) -> list[Node]:
    nodes: list[Node] = []
    problems: list[Problem] = []
    for path in files:
        try:
            nodes.append(read_file(path))
        except DocumentError as error:
            problems += error.problems
    if problems:
        raise DocumentError(problems)
    return nodes


def _check(nodes: Sequence[Node], folder: Path, files: tuple[str, ...], values: Environment | None) -> Document:
    values = values or Environment()
    problems: list[Problem] = []
    unset: list[Problem] = []
    shaped = [reshape(node, problems) for node in nodes]
    merged = reduce(merge, shaped)
    source: dict[str, Any] = to_plain(nodes[0] if len(nodes) == 1 else merged)
    known = environment.collect(values.files, values.overrides, beside=folder)
    resolved = environment.resolve(merged, known, unset)
    root = complete(resolved.root, problems)
    try:
        spec = ComposeFile.model_validate(to_plain(root), context=Budget())
    except ValidationError as error:
        problems += (found for found in from_validation(error, root) if found.location not in resolved.unset)
    else:
        if not problems:  # what a name refers to can be said only when every name stands where it should
            problems += islice(check(spec, root), MAX_PROBLEMS + 1)
    if problems or unset:
        raise DocumentError(_in_file_order([*problems, *unset]))
    warnings = tuple(_in_file_order(islice(warn(spec, root), MAX_PROBLEMS + 1)))
    return Document(spec, source, folder.resolve(), files, resolved.used, warnings)


def _in_file_order(problems: Iterable[Problem]) -> list[Problem]:
    def place(problem: Problem) -> tuple[str, int, int]:
        where = problem.location
        return (where.file, where.line, where.column) if where else ("", 0, 0)

    found = sorted(dict.fromkeys(problems), key=place)
    if len(found) > MAX_PROBLEMS:
        hint = f"the first {MAX_PROBLEMS} are told"
        found[MAX_PROBLEMS:] = [Problem("more problems follow from here", found[MAX_PROBLEMS].location, hint=hint)]
    return found


def _node(value: Any) -> Node:
    where = Location("<record>", 1, 1)
    if isinstance(value, Mapping):
        return Node({str(key): _node(item) for key, item in value.items()}, where)
    if isinstance(value, list):
        return Node([_node(item) for item in value], where)
    return Node(value, where)
