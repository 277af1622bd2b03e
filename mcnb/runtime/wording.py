"""Words that all interfaces use about runs: names, sizes, lengths of time, the quiet last line."""

from __future__ import annotations

from mcnb.compose.schema import Workflow
from mcnb.runtime.record import Record


def part_name(what: str, name: str) -> str:
    """Write which job or component it is; one without an id has none that its author would know."""
    return f"the {what}" if name.startswith("__") else f"{what} '{name}'"


def workflow_name(workflow: Workflow) -> str:
    """Write which workflow it is: the id that callers name it by, and its title."""
    if workflow.id.startswith("__"):
        return workflow.title or "workflow"
    return f"{workflow.id} ({workflow.title})" if workflow.title else workflow.id


def bytes_text(size: float) -> str:
    """Write a size: ``92.9 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    raise AssertionError("unreachable")


def seconds_text(seconds: float) -> str:
    """Write a length of time: ``4 s``, ``2 min 5 s``."""
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def summary_line(record: Record) -> str:
    """Write the quiet last line of a run: tokens, speed, first token, reason of the end, seed, model."""
    usage = record.usage
    parts = [f"{usage.prompt_tokens} tokens in, {usage.output_tokens} out"]
    if record.tokens_per_second:
        parts.append(f"{record.tokens_per_second:.1f} tokens/s")
    first = record.generations[0].timings.get("first_token")
    if first is not None:
        parts.append(f"first token {first:.2f} s")
    parts.append(", ".join(dict.fromkeys(record.finish_reasons)) or record.state)
    cut = next((item for item in record.generations if "context_full" in item.finish_reasons), None)
    if cut is not None:
        parts.append(f"output limited to {cut.output_budget:,} tokens by the context")
    parts.append(f"seed {record.used_seed}")
    models = dict.fromkeys(f"{item.model['name']} ({item.dtype}, {item.device})" for item in record.generations)
    parts.append(", ".join(models))
    return " · ".join(parts)
