"""Forms: the fields of a form body, with their brackets, as nested data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from mcnb.compose import Inputs, parse_text_value
from mcnb.errors import InvalidInputError
from mcnb.server.json_text import check_plain

MAX_FIELDS = 1000
MAX_DEPTH = 16

_NAME = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")
_TEXTS = ("workflow_id", "session_id", "kernel_id", "priority")


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields of a form as nested data.

    ``input[prompt]=x`` is ``{"input": {"prompt": "x"}}``; ``input[tags][]=a``, ``input[tags][0]=a`` and a repeated
    name make a list.

    Raises
    ------
    InvalidInputError
        For a name that is not written that way, or two names that contradict each other.
    """
    found: dict[str, Any] = {}
    for name, value in pairs:
        match = _NAME.fullmatch(name)
        if match is None:
            raise _wrong(name, "is written name, name[key] or name[key][]")
        keys = [match[1], *re.findall(r"\[([^\[\]]*)\]", match[2])]
        if len(keys) > MAX_DEPTH:
            raise _wrong(name, f"has more than {MAX_DEPTH} levels")
        _put(found, keys, value, name)
    return {key: _lists(value) for key, value in found.items()}


def _put(found: dict[str, Any], keys: list[str], value: str, name: str) -> None:
    for key in keys[:-1]:
        found = found.setdefault(key or str(len(found)), {})
        if not isinstance(found, dict):
            raise _wrong(name, "contradicts another field")
    last = keys[-1] or str(len(found))
    before = found.get(last)
    if isinstance(before, dict):
        raise _wrong(name, "contradicts another field")
    if before is None:
        found[last] = value
    else:
        found[last] = [*(before if isinstance(before, list) else [before]), value]


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _lists(item) for key, item in value.items()}
    places = [str(place) for place in range(len(inner))]
    return [inner[place] for place in places] if inner and set(inner) == set(places) else inner


def _wrong(name: str, what: str) -> InvalidInputError:
    message = f"the form field '{name[:100]}' {what}"
    return InvalidInputError(message, errors=[{"field": name[:100], "message": message}])


def plain_texts(fields: dict[str, Any]) -> dict[str, Any]:
    """Read the values that are no texts, of all fields but ``input``: JSON where it is JSON, else as it stands."""
    return {
        key: value if key in _TEXTS or key in ("input", "metadata") else _json(value) for key, value in fields.items()
    }


def _json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_json(item) for item in value]
    try:
        return json.loads(value.lower() if value in ("True", "False") else value)
    except (ValueError, RecursionError):
        return value


def typed_input(inputs: Inputs, values: dict[str, Any]) -> dict[str, Any]:
    """Read a form's texts as the types of a workflow's inputs.

    Raises
    ------
    InvalidInputError
        With every value that cannot be read.
    """
    read: dict[str, Any] = {}
    errors: list[dict[str, str]] = []
    for name, value in values.items():
        try:
            read[name] = parse_text_value(inputs, name, value) if isinstance(value, str) else value
        except InvalidInputError as error:
            errors += error.errors
    if errors:
        raise InvalidInputError("; ".join(item["message"] for item in errors), errors=errors)
    return check_plain(read)
