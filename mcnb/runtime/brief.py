"""A run in few bytes: notebooks are files that people keep under version control and share."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mcnb.runtime.run import Run

LONGEST_TEXT = 1000
"""Characters of a text."""

MOST_ITEMS = 50
"""Items of a list or a mapping."""

MOST_GENERATIONS = 8
"""Generations of a record."""

LARGEST_RECORD = 60_000
LARGEST_PART = 8_000
"""Characters as JSON, of a record and of a part of the data; what is larger is cut further."""

_DEEPEST = 16


def brief(value: Any, longest: int = LONGEST_TEXT, most: int = MOST_ITEMS, depth: int = _DEEPEST) -> Any:
    """Return JSON data with long texts and lists cut, each with a word on what is missing.

    Parameters
    ----------
    value : Any
        JSON data; what is not becomes a text.
    longest, most, depth : int
        Characters of a text, items of a list or a mapping, levels.
    """
    if isinstance(value, str):
        return value if len(value) <= longest else f"{value[:longest]}… ({len(value):,} characters)"
    if value is None or isinstance(value, bool | int | float):
        return str(value) if isinstance(value, float) and not math.isfinite(value) else value
    if not isinstance(value, Mapping | list | tuple):
        return brief(str(value), longest)
    if depth == 0:
        return "…"
    left = len(value) - most
    if isinstance(value, Mapping):
        kept = {str(key): brief(item, longest, most, depth - 1) for key, item in list(value.items())[:most]}
        return {**kept, "…": f"and {left:,} more"} if left > 0 else kept
    items = [brief(item, longest, most, depth - 1) for item in value[:most]]
    return [*items, f"and {left:,} more"] if left > 0 else items


def brief_record(run: Run) -> dict[str, Any]:
    """Return what a person looks up in a record; ``run.record`` has all of it."""
    record = run.record.to_dict()
    if left := record["generations"][MOST_GENERATIONS:]:
        record["generations"] = [*record["generations"][:MOST_GENERATIONS], f"and {len(left):,} more"]
    found: dict[str, Any] = _within(LARGEST_RECORD, record)
    return found


def _within(size: int, value: Any) -> Any:
    """Return JSON data in short, and shorter still when it is more than `size` characters."""
    found = value
    for longest, most, depth in (
        (LONGEST_TEXT, MOST_ITEMS, _DEEPEST),
        (300, 20, 8),
        (200, 8, 4),
        (100, 8, 2),
        (50, 8, 1),
    ):
        found = brief(value, longest, most, depth)
        if len(json.dumps(found, ensure_ascii=False)) <= size:
            break
    return found


def run_data(run: Run) -> dict[str, Any]:
    """Return a run for programs that read notebooks: its state, output and error, and the record in short.

    Returns
    -------
    dict
        JSON data of some kilobytes at most, however many generations the run had: the output is cut like everything
        else; the record holds no prompts and no texts.
    """
    record, asked = run.record, run.interruption
    generations = record.generations
    usage = record.usage
    return {
        "id": run.id,
        "workflow": run.workflow,
        "state": run.state,
        "output": _within(LARGEST_PART, run.output),
        "error": None if run.error is None else _within(LARGEST_PART, run.error.to_dict()),
        **({} if asked is None else {"interruption": _within(LARGEST_PART, asked.to_dict())}),
        "record": {
            "created": record.created,
            "document": record.document.get("digest"),
            "seed": record.used_seed,
            "parameters": _within(LARGEST_PART, record.parameters),
            "generations": len(generations),
            "usage": {"prompt_tokens": usage.prompt_tokens, "output_tokens": usage.output_tokens},
            "tokens_per_second": record.tokens_per_second,
            "finish_reasons": dict(Counter(record.finish_reasons)),
            "models": _within(LARGEST_PART, list(dict.fromkeys(item.model["name"] for item in generations))),
            "timings": dict(record.timings),
            "output_sha256": record.output_sha256,
        },
    }
