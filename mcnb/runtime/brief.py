"""A run in few bytes: notebooks are files that people keep under version control and share."""

from __future__ import annotations

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
        return value
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
    found: dict[str, Any] = brief(record)
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
        "output": brief(run.output, most=8, depth=4),
        "error": None if run.error is None else brief(run.error.to_dict()),
        **({} if asked is None else {"interruption": brief(asked.to_dict(), most=8, depth=4)}),
        "record": {
            "created": record.created,
            "document": record.document.get("digest"),
            "seed": record.used_seed,
            "parameters": brief(record.parameters),
            "generations": len(generations),
            "usage": {"prompt_tokens": usage.prompt_tokens, "output_tokens": usage.output_tokens},
            "tokens_per_second": record.tokens_per_second,
            "finish_reasons": dict(Counter(record.finish_reasons)),
            "models": brief(list(dict.fromkeys(item.model["name"] for item in generations)), most=8),
            "timings": dict(record.timings),
            "output_sha256": record.output_sha256,
        },
    }
