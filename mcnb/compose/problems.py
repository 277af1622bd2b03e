"""What pydantic found wrong, said with the place in the file and the nearest valid word."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mcnb.compose.dialects import ACTION_KEYS, JOB_KEYS, OPTION_ALIASES, SERVER_KEYS
from mcnb.compose.nodes import KeyPath, Node, show_path
from mcnb.compose.schema import (
    Action,
    Component,
    ComposeFile,
    Controller,
    EngineOptions,
    GenerationParams,
    Workflow,
)
from mcnb.compose.schema.limits import SKIPPED
from mcnb.compose.suggest import did_you_mean
from mcnb.compose.wording import chosen_by, expected, is_about_type, sentence, shown
from mcnb.errors import Problem

_ALSO: dict[type[BaseModel], frozenset[str]] = {
    ComposeFile: frozenset({"component", "workflow"}),
    Controller: SERVER_KEYS | {"adapter"},
    Component: ACTION_KEYS | {"action"},
    EngineOptions: frozenset(OPTION_ALIASES),
    Action: ACTION_KEYS,
    GenerationParams: ACTION_KEYS - {"params", "prompt", "text", "messages", "thinking", "output"},
    Workflow: JOB_KEYS | {"job"},
}
"""Keys that another dialect allows at the same place."""

_NOT_HERE = {
    "hook": "a compose file runs no code in mcnb",
    "max_seq_length": "use max_input_length and max_output_length",
    "max_length": "use max_output_length, the number of new tokens",
}

_SINGULAR = {
    "components": "component",
    "actions": "action",
    "workflows": "workflow",
    "jobs": "job",
    "adapters": "adapter",
    "peft_adapters": "adapter",
    "conditions": "condition",
    "cases": "case",
    "routings": "routing",
    "messages": "message",
}


class _Found(NamedTuple):
    path: KeyPath  # pydantic's, with the names of alternatives between the keys
    details: ErrorDetails


def from_validation(error: ValidationError, root: Node) -> Iterator[Problem]:
    """Turn a pydantic error into problems.

    Where a value may have several shapes, only what is wrong with the closest one is told.
    """
    found = []
    for details in error.errors(include_url=False):
        path = tuple(part for part in details["loc"][:-1] if not _is_tag(part))
        last = details["loc"][-1:] if details["loc"] and not _is_unseen(details) else ()
        if details["type"] != SKIPPED:
            found.append(_Found((*path, *last), details))
    yield from _told(found, root)


def _is_tag(element: int | str) -> bool:
    return isinstance(element, str) and element.startswith("@")


def _is_unseen(details: ErrorDetails) -> bool:
    """Whether the path's last element is no key of the file."""
    return details["type"] == "missing" or (details["type"] != "extra_forbidden" and _is_tag(details["loc"][-1]))


def _told(found: Sequence[_Found], root: Node) -> Iterator[Problem]:
    groups: dict[KeyPath, dict[int | str, list[_Found]]] = {}
    for item in found:
        real, alternative = _branch(item.path, root)
        if alternative is None:
            yield _problem(item, root)
        else:
            rest = (*real, *item.path[len(real) + 1 :])
            groups.setdefault(real, {}).setdefault(alternative, []).append(_Found(rest, item.details))
    for path, alternatives in groups.items():
        yield from _closest(path, list(alternatives.values()), root)


def _branch(path: KeyPath, root: Node) -> tuple[KeyPath, int | str | None]:
    """Split a path where it names an alternative instead of a key."""
    node = root
    for number, element in enumerate(path):
        node, step = node.child((element,))
        if not step:
            return path[:number], element
    return path, None


def _closest(path: KeyPath, alternatives: Sequence[list[_Found]], root: Node) -> Iterator[Problem]:
    """Tell what is wrong with the alternative that fits best: the one whose errors lie deepest."""
    depths = [max(len(root.child(item.path)[1]) for item in found) for found in alternatives]
    if max(depths) > len(path):
        yield from _told(alternatives[depths.index(max(depths))], root)
        return
    right_type = [found for found in alternatives if not all(is_about_type(item.details) for item in found)]
    if right_type:
        yield from _told(right_type[0], root)
        return
    details = [item.details for found in alternatives for item in found]
    field = next((element for element in reversed(path) if isinstance(element, str)), "")
    words = " or ".join(dict.fromkeys(expected(item, field) for item in details))
    node, real = root.child(path)
    yield Problem(
        f"{_name(root, real)}expected {words}, got {shown(details[0]['input'])}", node.location, show_path(real)
    )


def _problem(found: _Found, root: Node) -> Problem:
    node, real = root.child(found.path)
    details = found.details
    kind, context = details["type"], details.get("ctx", {})
    last = str(details["loc"][-1]) if details["loc"] else ""
    if kind == "extra_forbidden":
        return _unknown_key(last, node, real)
    if kind == "missing":
        message, hint = _missing(last, node, real)
        return Problem(message, node.place, show_path((*real, last)), hint)
    if kind == "expression":
        inner, below = node.child(context.get("path", ()))
        path = (*real, *below)
        where = inner.at_offset(context["offset"])
        return Problem(f"{_name(root, path)}{context['message']}", where, show_path(path), context.get("hint"))
    if (key := chosen_by(details)) and (chosen := node.mapping.get(key)):
        node, real = chosen, (*real, key)
    message, hint = sentence(details, str(real[-1]) if real else "")
    if "${" in str(details["input"]) and kind in ("form", "literal_error"):
        hint = "no expression can stand here but ${env.NAME}"
    if isinstance(details["input"], dict) and real and real[-1] in _SINGULAR:
        hint = f"write '{_SINGULAR[str(real[-1])]}:' for a single one"
    return Problem(f"{_name(root, real)}{message}", node.location, show_path(real), hint)


def _missing(key: str, node: Node, path: KeyPath) -> tuple[str, str | None]:
    if key == "repository" and "provider" not in node.mapping:
        return f"'repository' or 'path' is missing{_inside(path)}", None
    return f"'{key}' is missing{_inside(path)}", None


def _unknown_key(key: str, node: Node, path: KeyPath) -> Problem:
    known = known_keys(path[:-1])
    if key == "hook":
        return Problem(f"'{key}' is not supported by mcnb", node.place, show_path(path), _NOT_HERE[key])
    if key in known:
        hint: str | None = "it belongs to another task or type"
    else:
        hint = _NOT_HERE.get(key) or did_you_mean(key, known) or _belongs(key, path)
    name = key if len(key) <= 80 else key[:77] + "..."
    return Problem(f"unknown key '{name}'{_inside(path[:-1])}", node.place, show_path(path), hint)


def _belongs(key: str, path: KeyPath) -> str | None:
    """Return where a key goes that stands at the top of the document."""
    for section in ("components", "workflows"):
        if len(path) == 1 and key in known_keys((section,)):
            return f"it belongs under '{_SINGULAR[section]}:'"
    return None


def _name(root: Node, path: KeyPath) -> str:
    """Return the words before a message: the field as it is written, or which one of several."""
    node, _ = root.child(path)
    if node.key or not path or isinstance(path[-1], str):
        return f"{node.key or path[-1]}: " if path else ""
    holder, _ = root.child(path[:-1])
    key = next((element for element in reversed(path) if isinstance(element, str)), "")
    return f"{_SINGULAR.get(key, f'{holder.key or key}[{path[-1]}]')}: "


def _inside(path: KeyPath) -> str:
    names = [element for element in path if isinstance(element, str)]
    return f" in {_SINGULAR.get(names[-1], names[-1])}" if names else ""


def known_keys(path: KeyPath) -> set[str]:
    """Return the keys that any dialect allows at a place of the document."""
    models: list[type[BaseModel]] = [ComposeFile]
    for element in path:
        if isinstance(element, int):
            continue
        fields = [
            field for model in models for name, field in model.model_fields.items() if element in (name, field.alias)
        ]
        models = [found for field in fields for found in _models_in((field.annotation, field.metadata))]
    keys: set[str] = set()
    for model in models:
        keys.update(field.alias or name for name, field in model.model_fields.items())
        for base, more in _ALSO.items():
            if issubclass(model, base):
                keys |= more
    return keys


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if typing.get_origin(annotation) is None and isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    inner = getattr(annotation, "inner", None)
    parts = annotation if isinstance(annotation, list | tuple) else typing.get_args(annotation)
    for part in (*parts, *([inner] if inner is not None else [])):
        yield from _models_in(part)
