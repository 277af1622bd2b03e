"""What pydantic says about a wrong value, in the words of people who write compose files.

Every kind of error that the schema can give has its sentence here; what is not foreseen is told without details rather
than in pydantic's terms.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from mcnb.compose.schema.component import TASKS
from mcnb.compose.schema.job import JOB_TYPES
from mcnb.compose.schema.sources import PROVIDERS
from mcnb.compose.suggest import did_you_mean

_MAPPING = "a mapping"

_TYPES = {
    "string_type": "a text",
    "int_type": "an integer",
    "int_parsing": "an integer",
    "int_parsing_size": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "none_required": "nothing",
    "duration_type": 'seconds, or a text like "5s"',
}

_SHORT_FORMS = {
    "quantization": "int8, int4, fp4, nf4 or a mapping",
    "retry": "a number of attempts or a mapping",
    "on_error": "'ignore' or a mapping",
    "before": "true or a mapping",
    "after": "true or a mapping",
    "stop_sequences": "a text or a list of texts",
}
"""Fields whose mapping or list may be written shorter."""

_LIMITS = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
    "greater_than": ("greater than", "gt"),
    "less_than": ("less than", "lt"),
}

_CHOICES = {
    "task": ("task", TASKS, _MAPPING),
    "job_type": ("type", JOB_TYPES, _MAPPING),
    "provider": ("provider", PROVIDERS, "a repository, a path or a mapping"),
}
"""Kinds that say that no shape was chosen: by which key, what that may be, and what the value should have been."""


def is_about_type(details: ErrorDetails) -> bool:
    """Whether a value is of another type than one of the allowed ones."""
    kind = details["type"]
    return kind in _TYPES or kind == "literal_error" or (kind in _CHOICES and not isinstance(details["input"], dict))


def expected(details: ErrorDetails, field: str = "") -> str:
    """Return what a value of the wrong type should have been."""
    kind = details["type"]
    if kind in _CHOICES:
        return _CHOICES[kind][2]
    if kind == "literal_error":
        return _either(_literals(details))
    words = _TYPES[kind]
    return _SHORT_FORMS.get(field, words) if words in (_MAPPING, "a list") else words


def chosen_by(details: ErrorDetails) -> str | None:
    """Return the key that an error about an unknown shape is about."""
    kind = details["type"]
    return _CHOICES[kind][0] if kind in _CHOICES and isinstance(details["input"], dict) else None


def sentence(details: ErrorDetails, field: str = "") -> tuple[str, str | None]:
    """Say what is wrong with a value.

    Parameters
    ----------
    details : ErrorDetails
        One entry of ``ValidationError.errors()``.
    field : str
        The name of the field, for fields with words of their own.

    Returns
    -------
    (str, str or None)
        Half a sentence to stand behind the field's name, and what to do about it.
    """
    kind, context = details["type"], details.get("ctx", {})
    if is_about_type(details):
        value = details["input"]
        if kind == "literal_error":
            hint = did_you_mean(value, _literals(details)) if isinstance(value, str) else None
        else:
            is_number = isinstance(value, bool | int | float)
            hint = "put it in quotes" if kind == "string_type" and is_number else None
        return f"expected {expected(details, field)}, got {shown(details['input'])}", hint
    if kind in _CHOICES:
        key, known, _ = _CHOICES[kind]
        value = details["input"].get(key)
        hint = did_you_mean(value, known) if isinstance(value, str) else None
        return f"expected {_either(known)}, got {shown(value)}", hint
    if kind in _LIMITS:
        words, bound = _LIMITS[kind]
        return f"must be {words} {_number(context[bound])}, got {shown(details['input'])}", None
    if kind == "string_too_short":
        return "must not be empty", None
    if kind == "string_too_long":
        most, count = context["max_length"], len(str(details["input"]))
        return f"has {count:,} characters; at most {most:,} are allowed", None
    if kind == "too_many":
        what = "keys are" if isinstance(details["input"], dict) else "are"
        return f"at most {context['most']:,} {what} allowed, got {context['count']:,}", None
    if kind in ("expression", "form", "duration"):
        return details["msg"], context.get("hint")
    return f"{shown(details['input'])} cannot stand here", None


def _literals(details: ErrorDetails) -> list[str]:
    return [word.strip("'") for word in str(details["ctx"]["expected"]).replace(" or ", ", ").split(", ")]


def _number(value: int | float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else str(value)


def _either(known: Iterable[str]) -> str:
    words = [f"'{word}'" for word in known]
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def shown(value: Any) -> str:
    """Return a value as it stands in a message: short, and named rather than printed when it has parts."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None:
        return "nothing"
    text = repr(str(value)) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 80 else text[:77] + "..."
