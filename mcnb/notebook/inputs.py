"""The values of ``%compose``: cell bodies, ``-i``, ``--input``, ``-p``, ``-e`` and ``$variables``."""

from __future__ import annotations

import json
import re
from argparse import Namespace
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from mcnb.compose import Inputs, parse_pair, parse_text_value
from mcnb.compose.nodes import to_plain
from mcnb.compose.suggest import did_you_mean, nearest
from mcnb.compose.yaml_reader import read_text
from mcnb.errors import DocumentError, InvalidInputError
from mcnb.models.parameters import parse_parameter
from mcnb.runtime import Offering

_Number = TypeVar("_Number", int, float)

_TEXTS = ("text", "string")


def inputs_of(compose: Offering, arguments: Namespace) -> Inputs:
    """Return what the workflow of a line asks for.

    Raises
    ------
    InvalidInputError
        When there is no such workflow; of a value with spaces and without quotes, the second word is taken for one.
    """
    name, known = arguments.workflow, compose.workflows
    if name is not None and name not in known and arguments.pairs and not nearest(name, known):
        hint = f'quote values with spaces: -i {arguments.pairs[-1].partition("=")[0]}="two words"'
        raise InvalidInputError(f"there is no workflow '{name}'", hint=hint)
    return compose.inputs(name)


def read_inputs(inputs: Inputs, arguments: Namespace, body: str | None, variables: Mapping[str, Any]) -> dict[str, Any]:
    """Put the body, ``--input`` and ``-i`` together; later ones win.

    Raises
    ------
    InvalidInputError
        When one of them cannot be read, or a variable does not exist.
    """
    given: dict[str, Any] = {}
    if arguments.whole is not None:
        given.update(_mapping(read_value(arguments.whole, variables), "--input"))
    for text in arguments.pairs:
        name, value = parse_pair(text, "-i")
        given[name] = read_value(value, variables) if _is_variable(value) else parse_text_value(inputs, name, value)
    return {**read_body(body or "", inputs, given), **given}


def read_body(body: str, inputs: Inputs, given: Mapping[str, Any]) -> dict[str, Any]:
    """Read a cell's body: a mapping of inputs, or the text of the one required text input that is not given otherwise.

    A JSON object is always a mapping, and so is YAML whose keys are inputs. Anything else is text, if there is one
    input for it; what looks like a mapping with a misspelled key is refused rather than taken for text.

    Raises
    ------
    InvalidInputError
        When it is neither.
    """
    if not body.strip():
        return {}
    targets = [item.name for item in inputs if item.required and item.type.name in _TEXTS and item.name not in given]
    target = targets[0] if len(targets) == 1 and not inputs[targets[0]].type.is_array else None
    names = inputs.names
    mapping, problem = _read_mapping(body)
    if mapping is None:
        if target is None or _begins_like_a_mapping(body, names):
            hint = f"write one input a line, like '{names[0]}: ...'" if names else "this workflow takes no input"
            raise InvalidInputError(f"the cell's body is not a YAML or JSON mapping: {problem}", hint=hint)
        return {target: body.strip("\r\n")}
    unknown = [str(key) for key in mapping if key not in names]
    if not unknown or target is None or len(unknown) < len(mapping) or _is_json_object(body):
        return mapping  # unknown names are told by the check of the input
    mistyped = next((key for key in unknown if len(names) > 1 and nearest(key, names)), None)
    if mistyped is not None:
        hint = f"{did_you_mean(mistyped, names)} To give it as text, write '{target}: |' above it and indent it"
        raise InvalidInputError(f"the cell's body: there is no input '{mistyped}'", hint=hint)
    return {target: body.strip("\r\n")}


def read_parameters(pairs: list[str], variables: Mapping[str, Any]) -> dict[str, Any]:
    """Read ``-p NAME=VALUE`` and ``-p NAME=$variable``.

    Raises
    ------
    InvalidInputError
        When there is no such parameter.
    """
    found = {}
    for pair in pairs:
        name, value = parse_parameter(pair)
        found[name] = read_value(value, variables) if isinstance(value, str) else value
    return found


def read_env(pairs: Iterable[str], variables: Mapping[str, Any]) -> dict[str, str]:
    """Read ``-e NAME=VALUE`` and ``-e NAME=$variable``, as texts.

    Raises
    ------
    InvalidInputError
        When there is no such variable.
    """
    found = (parse_pair(pair, "-e") for pair in pairs)
    return {name: str(read_value(value, variables)) for name, value in found}


def read_number(text: str | None, option: str, kind: type[_Number], variables: Mapping[str, Any]) -> _Number | None:
    """Return the number that an option gives, directly or by ``$variable``; None without the option.

    Raises
    ------
    InvalidInputError
        When it is no such number.
    """
    value = None if text is None else read_value(text, variables)
    if value is None:
        return None
    try:
        return kind(value)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"{option} {text}: expected a number, got {value!r}") from error


def read_value(text: str, variables: Mapping[str, Any]) -> Any:
    """Return the value of ``$name``, or the text itself.

    Raises
    ------
    InvalidInputError
        When there is no such variable.
    """
    if not _is_variable(text):
        return text
    name = text[1:]
    if name not in variables:
        known = [known for known, value in variables.items() if not (known.startswith("_") or callable(value))]
        raise InvalidInputError(f"there is no variable '{name}' in this notebook", hint=did_you_mean(name, known))
    return variables[name]


def _is_variable(text: str) -> bool:
    return text.startswith("$") and text[1:].isidentifier()


def _read_mapping(body: str) -> tuple[dict[str, Any] | None, object]:
    """Return the mapping that a body is, or None and why it is none."""
    if body.lstrip().startswith("{"):
        try:
            return _mapping(body, "the cell's body"), None
        except InvalidInputError:
            pass  # YAML has objects without quotes
    try:
        return dict(to_plain(read_text(body, "<cell>"))), None
    except DocumentError as error:
        return None, error.problems[0]


def _is_json_object(body: str) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def _begins_like_a_mapping(body: str, names: tuple[str, ...]) -> bool:
    """Whether a body that cannot be read was meant as a mapping: it begins with an input's name and a colon."""
    found = re.match(r"""[\s{]*(["']?)([^"':]*)\1\s*:(\s|$)""", re.sub(r"\A(\s*#.*\n)+", "", body))
    return found is not None and found[2].strip() in names


def _mapping(value: Any, what: str) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise InvalidInputError(f"{what}: not valid JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise InvalidInputError(f"{what} has to be a mapping of names to values, got {type(value).__name__}")
    return dict(value)
