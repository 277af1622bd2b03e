"""Types and ranges in words, from JSON Schema."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mcnb.compose.schema.base import EXPRESSION_PATTERN
from mcnb.compose.schema.limits import MAX_ITEMS
from tools.pages.text import code

_NAMES = {"string": "text", "integer": "integer", "number": "number", "boolean": "boolean", "object": "mapping"}

Schema = Mapping[str, Any]


def kind(schema: Schema, link: Callable[[str], str]) -> str:
    """Return what a value may be.

    Parameters
    ----------
    schema : mapping
        Of the value.
    link : callable
        Gets the name of a definition and returns a link to it.
    """
    found = list(dict.fromkeys(_shapes(schema, link)))
    if len(found) > 1 and found[-1] == "expression":
        return f"{', '.join(found[:-1])} or expression"
    return ", ".join(found) or "any value"


def bounds(schema: Schema) -> str:
    """Return the range of a value; empty where there is none."""
    return "; ".join(dict.fromkeys(filter(None, _bounds(schema))))


def _alternatives(schema: Schema) -> list[Schema]:
    return list(schema.get("anyOf") or schema.get("oneOf") or [schema])


def _shapes(schema: Schema, link: Callable[[str], str]) -> Iterator[str]:
    for shape in _alternatives(schema):
        if "anyOf" in shape or "oneOf" in shape:
            yield from _shapes(shape, link)
        elif "$ref" in shape:
            yield link(shape["$ref"].rpartition("/")[2])
        elif "const" in shape:
            yield code(shape["const"])
        elif "enum" in shape:
            yield from map(code, shape["enum"])
        elif shape.get("pattern") == EXPRESSION_PATTERN:
            yield "expression"
        elif not _is_environment(shape):
            yield from _plain(shape, link)


def _plain(shape: Schema, link: Callable[[str], str]) -> Iterator[str]:
    named = shape.get("type")
    for name in named if isinstance(named, list) else [named]:
        if name == "array":
            inner = kind(shape.get("items", {}), link)
            yield f"list of {inner}" if inner != "any value" else "list"
        elif name in _NAMES:
            yield _NAMES[name]
        elif name is None:
            yield "any value"


def _is_environment(shape: Schema) -> bool:
    return str(shape.get("pattern", "")).startswith(r"\$\{\s*env")


def _bounds(schema: Schema) -> Iterator[str]:
    for shape in _alternatives(schema):
        if "anyOf" in shape or "oneOf" in shape:
            yield from _bounds(shape)
        elif shape.get("pattern") != EXPRESSION_PATTERN and not _is_environment(shape):
            yield _numbers(shape)
            yield _sizes(shape)
            if isinstance(shape.get("items"), dict):
                yield from (f"each {text}" for text in _bounds(shape["items"]) if text)


def _numbers(shape: Schema) -> str:
    low, high = shape.get("minimum"), shape.get("maximum")
    above, below = shape.get("exclusiveMinimum"), shape.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{_number(low)} to {_number(high)}"
    parts = [
        f"from {_number(low)}" if low is not None else "",
        f"above {_number(above)}" if above is not None else "",
        f"at most {_number(high)}" if high is not None else "",
        f"below {_number(below)}" if below is not None else "",
    ]
    return ", ".join(filter(None, parts))


def _sizes(shape: Schema) -> str:
    low, high = shape.get("minLength"), shape.get("maxLength")
    if low is not None and high is not None:
        return f"{low} to {high} characters"
    if high is not None:
        return f"at most {high} characters"
    if shape.get("maxItems", MAX_ITEMS) != MAX_ITEMS:
        return f"at most {_number(shape['maxItems'])} items"
    return f"at least {low} characters" if low is not None else ""


def _number(value: float) -> str:
    if value == 2**63:
        return "2^63^"
    return f"{int(value):,}" if float(value).is_integer() else str(value)
