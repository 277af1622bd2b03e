"""Values of the notebook that a form is pointed at by name: ``names``, ``df["prompt"]``, ``df.prompt``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mcnb.compose.suggest import did_you_mean, suggestion
from mcnb.errors import InvalidInputError

_NAME = re.compile(
    r"""(?P<name>[^\W\d]\w*)"""
    r"""(?:\s*\.\s*(?P<dotted>[^\W\d]\w*)|\s*\[\s*(?P<quoted>"[^"]*"|'[^']*')\s*\])?"""
)

MAX_OFFERED = 50


def look_up(text: str, variables: Mapping[str, Any]) -> Any:
    """Return what a name stands for: a variable, or one column of it. Nothing is ever evaluated.

    Raises
    ------
    InvalidInputError
        When it is not written so, or there is no such variable or column.
    """
    match = _NAME.fullmatch(text.strip())
    if match is None:
        raise InvalidInputError(f"{text.strip() or 'nothing'} is not the name of a variable or of its column")
    name = match["name"]
    if name not in variables:
        raise InvalidInputError(f"there is no variable '{name}' in this notebook", hint=_near(name, variables))
    value = variables[name]
    column = match["dotted"] or (match["quoted"] or "")[1:-1]
    if not column:
        return value
    known = columns(value)
    if column not in known:
        raise InvalidInputError(f"'{name}' has no column '{column}'", hint=suggestion(column, known))
    return value[column]


def columns(value: Any) -> list[str]:
    """Return the names of a table's columns; none for anything else."""
    if isinstance(value, Mapping):
        return [key for key in value if isinstance(key, str)]
    found = getattr(value, "columns", None)
    return [name for name in found if isinstance(name, str)] if found is not None and hasattr(value, "iloc") else []


def offered(variables: Mapping[str, Any]) -> list[str]:
    """Return the variables a batch can be made of: lists and tuples, tables and their columns."""
    found = []
    for name, value in variables.items():
        if name.startswith("_") or name in ("In", "Out"):
            continue
        if isinstance(value, list | tuple) and value:
            found.append(name)
        elif hasattr(value, "iloc"):
            found.append(name)
            quoted = [f"'{column}'" if '"' in column else f'"{column}"' for column in columns(value)]
            found += [f"{name}[{column}]" for column in quoted]
    return found[:MAX_OFFERED]


def _near(name: str, variables: Mapping[str, Any]) -> str:
    known = [key for key in variables if not key.startswith("_") and key not in ("In", "Out")]
    return did_you_mean(name, known) or "define it in a cell first"
