"""What the controls of a form hold, read as the inputs and generation parameters of a run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from mcnb.errors import InvalidInputError
from mcnb.models.parameters import DRAWN_SEED_BITS, check_parameters
from mcnb.notebook.form.spec import OTHER, PARAMETERS, read_list

MISSING = "Please fill this in."


def read_inputs(fields: list[dict[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Read the inputs from the controls.

    An empty control gives no value, so that the default holds; where a default was shown and deleted, it gives the
    empty text that is now to be seen.

    Parameters
    ----------
    fields : list of dict
        As ``spec.field`` describes them.
    values : mapping
        What the controls hold, by name; a missing one still shows its default.

    Raises
    ------
    InvalidInputError
        With one entry for each control that cannot be read.
    """
    found: dict[str, Any] = {}
    errors = []
    for field in fields:
        name = field["name"]
        held = values.get(name, field["default"])
        try:
            if name == OTHER:
                found.update(_other(held))
            elif not _is_empty(field, held):
                found[name] = _value(field, held)
            elif field["required"]:
                raise ValueError(MISSING)
        except ValueError as error:
            errors.append({"field": name, "message": str(error)})
    if errors:
        raise InvalidInputError("; ".join(error["message"] for error in errors), errors=errors)
    return found


def _is_empty(field: Mapping[str, Any], held: Any) -> bool:
    if held != "":
        return False
    return not (field["kind"] in ("text", "string") and field["default"])


def _value(field: Mapping[str, Any], held: Any) -> Any:
    kind = field["kind"]
    if not isinstance(held, str):
        return held
    if kind == "list":
        return read_list(held)
    if kind == "json":
        return _json(held)
    if kind in ("integer", "number"):
        return _number(held, kind)
    return held


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        said = f"line {error.lineno}: {error.msg}" if isinstance(error, json.JSONDecodeError) else str(error)
        raise ValueError(f"Not valid JSON ({said}).") from error


def _other(held: Any) -> dict[str, Any]:
    value = _json(held) if isinstance(held, str) and held.strip() else {}
    if not isinstance(value, dict):
        raise ValueError("This has to be a JSON object: names and values.")
    return value


def _number(text: str, kind: str) -> int | float:
    try:
        return int(text) if kind == "integer" else float(text)
    except ValueError:
        what = "a whole number" if kind == "integer" else "a number"
        raise ValueError(f"Expected {what}, got {text!r}.") from None


def read_parameters(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Read the generation parameters that were set for this run; empty controls leave the document's values.

    Raises
    ------
    InvalidInputError
        With one entry for each control that cannot be read; its field is ``parameters.NAME``.
    """
    found: dict[str, Any] = {}
    errors = []
    for name, control in PARAMETERS.items():
        held = overrides.get(name, "")
        if held in ("", None):
            continue
        try:
            if control["kind"] == "boolean":
                found[name] = held in (True, "true")
            else:
                found[name] = _number(str(held), control["kind"])
        except ValueError as error:
            errors.append({"field": f"parameters.{name}", "message": str(error)})
    errors += _refused(found)
    if errors:
        raise InvalidInputError("; ".join(error["message"] for error in errors), errors=errors)
    return found


def _refused(parameters: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return what is wrong with parameters; their fields are not those of inputs that have the same name."""
    try:
        check_parameters(parameters)
    except InvalidInputError as error:
        return [{**item, "field": f"parameters.{item['field']}"} for item in error.errors]
    return []


def read_seed(overrides: Mapping[str, Any]) -> int | None:
    """Return the seed when it is locked; None draws one for each run.

    Raises
    ------
    InvalidInputError
        When it is none; its field is ``parameters.seed``.
    """
    held = str(overrides.get("seed", "")).strip()
    if not overrides.get("seed_locked") or not held:
        return None
    try:
        seed = int(held)
        errors = _refused({"seed": seed})
    except ValueError:
        errors = [{"field": "parameters.seed", "message": f"Expected a whole number, got {held!r}."}]
    if errors:
        raise InvalidInputError(errors[0]["message"], errors=errors)
    return seed


def draw_seed() -> int:
    """Return a seed by chance."""
    return secrets.randbits(DRAWN_SEED_BITS)
