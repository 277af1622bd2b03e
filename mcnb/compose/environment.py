"""``${env.NAME | default}`` and ``.env`` files.

Values enter after the YAML was parsed, so that they can never become YAML, and where a text holds other expressions
too they are looked up when the text is rendered, so that they can never become expressions.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mcnb.compose.expressions import Template, Verbatim, evaluate, parse_template, walk
from mcnb.compose.expressions.grammar import Key
from mcnb.compose.nodes import KeyPath, Node, Scalar, show_path, texts
from mcnb.errors import DocumentError, ExpressionError, Location, Problem

ENV_FILE = ".env"

_LINE = re.compile(r"\s*(?:export\s+)?(?P<name>[A-Za-z_]\w*)\s*=\s*(?P<value>.*?)\s*")
_QUOTED = re.compile(r"""(?:'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)")\s*(?:\s\#.*)?$""")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def collect(
    files: Iterable[Path] = (), overrides: Mapping[str, str] | None = None, *, beside: Path | None = None
) -> dict[str, str]:
    """Gather the values expressions may use.

    Parameters
    ----------
    files : iterable of Path
        ``--env-file``; a later one wins. Without any, ``.env`` beside the compose file is read when it exists.
    overrides : mapping, optional
        ``-e K=V``; they win over everything.
    beside : Path, optional
        The folder of the compose file.

    Returns
    -------
    dict
        Files, then the process's environment, then the overrides.
    """
    chosen = list(files)
    if not chosen and beside is not None and (beside / ENV_FILE).is_file():
        chosen = [beside / ENV_FILE]
    values: dict[str, str] = {}
    for path in chosen:
        values.update(_read_env_file(path))
    values.update(os.environ)
    values.update(overrides or {})
    return values


def _read_env_file(path: Path) -> dict[str, str]:
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        reason = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else getattr(error, "strerror", error)
        raise DocumentError([Problem(f"cannot read the env file: {reason}", Location(str(path), 1, 1))]) from None
    values = {}
    for number, line in enumerate(content.split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if not match:
            raise DocumentError([Problem("expected NAME=value", Location(str(path), number, 1))])
        values[match["name"]] = _env_value(match["value"])
    return values


def _env_value(text: str) -> str:
    """Return the value of a line: quotes delimit it; outside of them a comment begins behind a space."""
    if quoted := _QUOTED.match(text):
        if quoted["single"] is not None:
            return quoted["single"]
        return re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), quoted["double"])
    return re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()


@dataclass(frozen=True)
class Resolved:
    """A document with its environment values in place.

    Attributes
    ----------
    root : Node
        The tree.
    used : dict
        The values of the names that the document mentions.
    unset : frozenset of Location
        Texts that lack a value; they are reported already.
    """

    root: Node
    used: dict[str, str]
    unset: frozenset[Location]


def resolve(root: Node, values: Mapping[str, str], problems: list[Problem]) -> Resolved:
    """Put environment values into the texts that hold nothing but them.

    Texts that also hold other expressions are left as they are: ``used`` carries the values they need.
    """
    used: dict[str, str] = {}
    found: dict[KeyPath, Node] = {}
    unset: set[Location] = set()
    for path, node in texts(root):
        text = str(node.value)
        if "${" not in text or "env" not in text:
            continue
        try:
            template = parse_template(text)
        except ExpressionError:
            continue  # reported with its place by the schema
        wrong = list(_wrong(template, values, node, show_path(path)))
        if wrong:
            problems += wrong
            unset.add(node.location)
            continue
        roots = {expression.root for expression, _ in walk(template)}
        if "env" not in roots:
            continue
        used.update({name: values[name] for name in _names(template) if name in values})
        if roots == {"env"}:
            try:
                found[path] = replace(node, value=_value(template, values), lines=())
            except ExpressionError as error:
                where = node.at_offset(error.offset or 0)
                problems.append(Problem(error.message, where, show_path(path), error.hint))
                unset.add(node.location)
    return Resolved(_replaced(root, found, ()), used, frozenset(unset))


def _value(template: Template, values: Mapping[str, str]) -> Scalar:
    value = evaluate(template, {"env": values})
    if value is None:
        names = " and ".join(f"'{name}'" for name in dict.fromkeys(_names(template)))
        raise ExpressionError(f"neither of the environment variables {names} is set")
    if isinstance(value, str):
        return Verbatim(value)
    if isinstance(value, bool | int | float):
        return value
    raise ExpressionError("an environment variable can stand for a text, a number or a boolean only")


def _names(template: Template) -> Iterator[str]:
    for expression, _ in walk(template):
        if expression.root == "env":
            yield expression.steps[0].name  # type: ignore[union-attr]


def _wrong(template: Template, values: Mapping[str, str], node: Node, path: str) -> Iterator[Problem]:
    for expression, inside_default in walk(template):
        if expression.root != "env":
            continue
        where = node.at_offset(expression.offset)
        if len(expression.steps) != 1 or not isinstance(expression.steps[0], Key):
            message = f"${{{expression.path}}}: 'env' stands before the name of one variable"
            yield Problem(message, where, path, "write ${env.NAME}")
            continue
        name = expression.steps[0].name
        if name not in values and expression.default is None and not inside_default:
            hint = f"set it, or give a default: ${{env.{name} | value}}"
            yield Problem(f"the environment variable '{name}' is not set", where, path, hint)


def _replaced(node: Node, found: Mapping[KeyPath, Node], path: KeyPath) -> Node:
    if path in found:
        return found[path]
    if isinstance(node.value, dict):
        return replace(node, value={key: _replaced(child, found, (*path, key)) for key, child in node.value.items()})
    if isinstance(node.value, list):
        return replace(node, value=[_replaced(child, found, (*path, n)) for n, child in enumerate(node.value)])
    return node
