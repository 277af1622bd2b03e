"""Inputs: what a workflow asks its caller for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcnb.compose.expressions import TypeSpec

_NUMBER = r"[+-]?[0-9]{1,18}(?:\.[0-9]{1,18})?"
_RANGE = re.compile(rf"\s*({_NUMBER})?\s*\.\.\s*({_NUMBER})?\s*")


@dataclass(frozen=True)
class Input:
    """One value a workflow asks for.

    Attributes
    ----------
    name : str
        As in ``${input.name}``.
    type : TypeSpec
        Its type; see ``declared``.
    declared : bool
        Whether the document says the type (``as ...``); otherwise it is a guess from where the value goes, good for
        choosing a form field, and not enforced.
    required : bool
        Whether a run without it is refused.
    default : Any
        The default, already of the right type; None when there is none or when it depends on other inputs.
    default_text : str or None
        The default as written.
    annotations : mapping of str to str
        ``@(name text)``, by name.
    """

    name: str
    type: TypeSpec
    declared: bool = False
    required: bool = True
    default: Any = None
    default_text: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def description(self) -> str | None:
        """The ``@(description ...)`` annotation."""
        return self.annotations.get("description")

    @property
    def options(self) -> tuple[str, ...]:
        """The choices of a select."""
        return self.type.options if self.type.name == "select" else ()

    @property
    def range(self) -> tuple[float | None, float | None]:
        """The bounds of ``@(range low..high)``; None where a side is open."""
        return parse_range(self.annotations["range"]) if "range" in self.annotations else (None, None)


def parse_range(text: str) -> tuple[float | None, float | None]:
    """Read the text of ``@(range low..high)``; either side may be left open.

    Raises
    ------
    ValueError
        When it is not written that way, or holds nothing.
    """
    match = _RANGE.fullmatch(text)
    if match is None or not any(match.groups()):
        raise ValueError("a range is written low..high, like 0..1, 1.. or ..100")
    low, high = (float(side) if side else None for side in match.groups())
    if low is not None and high is not None and low > high:
        raise ValueError(f"the range {text} is empty: {match[1]} is more than {match[2]}")
    return low, high


@dataclass(frozen=True)
class Inputs:
    """The inputs of a workflow, in order of first use.

    Attributes
    ----------
    fields : tuple of Input
        The named inputs.
    open : bool
        Whether the workflow also uses its input as a whole, so that any other name is welcome too.
    """

    fields: tuple[Input, ...]
    open: bool = False

    def __iter__(self) -> Iterator[Input]:
        return iter(self.fields)

    def __getitem__(self, name: str) -> Input:
        return next(item for item in self.fields if item.name == name)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(item.name for item in self.fields)
