"""YAML scalars to plain values: null, booleans, numbers and texts, and nothing else."""

from __future__ import annotations

import math
from typing import Any

import yaml
from yaml import events as ev

from mcnb.compose.nodes import Scalar

MAX_NUMBER_LENGTH = 100
"""A longer one is a text: reading numbers of any length takes time that grows with its square."""

_RESOLVER: Any = yaml.resolver.Resolver()
_CONSTRUCTOR: Any = yaml.constructor.SafeConstructor()
_TEXT = "tag:yaml.org,2002:str"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"
_CONSTRUCT: dict[str, tuple[str, Any]] = {
    "tag:yaml.org,2002:null": ("null", _CONSTRUCTOR.construct_yaml_null),
    "tag:yaml.org,2002:bool": ("true or false", _CONSTRUCTOR.construct_yaml_bool),
    "tag:yaml.org,2002:int": ("an integer", _CONSTRUCTOR.construct_yaml_int),
    "tag:yaml.org,2002:float": ("a number", _CONSTRUCTOR.construct_yaml_float),
}


class ScalarError(Exception):
    """A scalar that a compose file cannot hold; the message says why."""


def scalar_value(event: ev.ScalarEvent) -> Scalar:
    """Return the value of a scalar.

    Raises
    ------
    ScalarError
        For a tag other than YAML's plain ones, a number that is not finite, and characters that are not text.
    """
    text: str = event.value
    tag = event.tag
    if tag is None or tag == "!":
        tag = _implicit_tag(event, text)
    if tag in (_TEXT, _TIMESTAMP) or text == "<<":  # a date in a prompt is text
        if "\0" in text or not _is_unicode(text):
            raise ScalarError("the text holds a character that is not text")
        return text
    if tag not in _CONSTRUCT:
        raise ScalarError(f"the tag '{tag[:80]}' is not allowed")
    expected, construct = _CONSTRUCT[tag]
    try:
        if len(text) > MAX_NUMBER_LENGTH:
            raise ValueError
        value: Scalar = construct(yaml.ScalarNode(tag, text))
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError
    except (ValueError, LookupError, ArithmeticError, yaml.YAMLError):
        raise ScalarError(f"'{text[:40]}' is not {expected}") from None
    return value


def _implicit_tag(event: ev.ScalarEvent, text: str) -> str:
    plain = event.implicit[0] and event.tag is None
    if not plain or len(text) > MAX_NUMBER_LENGTH:
        return _TEXT
    return str(_RESOLVER.resolve(yaml.ScalarNode, text, (True, False)))


def _is_unicode(text: str) -> bool:
    """Whether the text can be written as UTF-8: halves of characters cannot."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
