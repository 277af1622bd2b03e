"""The columns of an output: those of the input, what came out, and how it was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from mcnb.batch.journal import Journal
from mcnb.batch.source import Checked, Source

Kind: TypeAlias = Literal["text", "integer", "number", "boolean", "json"]
"""What a column holds; ``json`` is anything, written as JSON where a file has no other way to say it."""

OWN: dict[str, Kind] = {
    "row": "integer",
    "state": "text",
    "error.code": "text",
    "error.message": "text",
    "seed": "integer",
    "prompt_tokens": "integer",
    "output_tokens": "integer",
    "finish_reason": "text",
    "worker": "text",
    "began": "integer",
    "ended": "integer",
}
"""The columns that every output has; those of an input or an output with such a name get one in front of it."""

MADE = tuple(name for name in OWN if name not in ("row", "state"))


@dataclass(frozen=True)
class Column:
    """A column of an output.

    Attributes
    ----------
    name : str
        Its name.
    kind : str
        What it holds.
    place : str
        Where its values come from: ``input``, ``output``, or ``own``.
    key : str
        By which they are found there.
    """

    name: str
    kind: Kind
    place: Literal["input", "output", "own"]
    key: str

    def value(self, own: Mapping[str, Any], result: Mapping[str, Any]) -> Any:
        """Return the column's value of a row.

        Parameters
        ----------
        own : mapping
            The row of the input.
        result : mapping
            What came of it.
        """
        if self.place == "input":
            return own.get(self.key)
        if self.place == "output":
            return _values(result["output"]).get(self.key)
        if self.key.startswith("error."):
            error = result.get("error") or {}
            return error.get(self.key.removeprefix("error."))
        return result.get(self.key)


def columns_of(source: Source, checked: Checked, outputs: Mapping[str, Kind]) -> list[Column]:
    """Return the columns of an output, in order.

    Parameters
    ----------
    source : Source
        The input.
    checked : Checked
        Which columns it has.
    outputs : mapping of str to Kind
        What came out.
    """
    inputs = {item.name: item for item in source.inputs}
    found = [Column("row", OWN["row"], "own", "row")]
    for name in checked.columns:
        kind = _input_kind(inputs[name].type.name) if name in inputs and not inputs[name].type.is_array else "json"
        found.append(Column(f"input.{name}" if name in OWN else name, kind, "input", name))
    found.append(Column("state", OWN["state"], "own", "state"))
    for name, kind in outputs.items():
        taken = name in OWN or name in checked.columns
        found.append(Column(f"output.{name}" if taken else name, kind, "output", name))
    return [*found, *(Column(name, OWN[name], "own", name) for name in MADE)]


def output_names(journal: Journal, taken: Sequence[str]) -> dict[str, Kind]:
    """Return what the results of a job are made of, in the order of the rows, and what each holds."""
    first: dict[str, int] = {}
    kinds: dict[str, Kind] = {}
    for _, result in journal.results():
        for name, value in _values(result["output"]).items():
            first[name] = min(result["row"], first.get(name, result["row"]))
            if value is not None:
                kind = _kind_of(value)
                kinds[name] = _both(kinds.get(name, kind), kind)
    return {name: kinds.get(name, "text") for name in sorted(first, key=lambda name: first[name])}


def _values(output: Any) -> Mapping[str, Any]:
    if output is None:
        return {}
    return output if isinstance(output, Mapping) else {"output": output}


def _input_kind(name: str) -> Kind:
    known: dict[str, Kind] = {"integer": "integer", "number": "number", "boolean": "boolean"}
    return known.get(name, "json" if name in ("list", "object", "json", "any") else "text")


def _kind_of(value: Any) -> Kind:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    return "number" if isinstance(value, float) else "text" if isinstance(value, str) else "json"


def _both(one: Kind, other: Kind) -> Kind:
    if one == other:
        return one
    return "number" if {one, other} == {"integer", "number"} else "json"
