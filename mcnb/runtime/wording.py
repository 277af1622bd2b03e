"""Sentences that all interfaces show about runs: sizes, progress, the quiet last line."""

from __future__ import annotations

from mcnb.compose.schema import Workflow
from mcnb.runtime.events import Event
from mcnb.runtime.record import Record

_VERBS = {"download": "downloading", "convert": "converting", "load": "loading"}


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


def item_text(event: Event) -> str:
    """Write where a repeated job is: ``summarize 2 of 3``."""
    job = event.data["job"]
    return f"{'item' if job.startswith('__') else job} {event.data['item'] + 1} of {event.data['items']}"


def working_line(item: Event | None, tokens: int) -> str:
    """Write what is going on while text is generated that is not shown: ``summarize 2 of 3: 17 tokens``."""
    return (f"{item_text(item)}: " if item is not None else "generating: ") + f"{tokens} tokens"


def progress_line(event: Event, elapsed: float) -> str:
    """Write a progress event as a line: what, how far, how fast, how long still."""
    data = event.data
    if event.type == "job":
        return item_text(event)
    done, total, unit = data["done"], data["total"], data["unit"]
    line = f"{_VERBS[event.type]} {data['what']}"
    if not total:
        return line + " ..."
    if unit != "bytes":
        return f"{line}  {done}/{total} {unit}"
    line += f"  {bytes_text(done)} of {bytes_text(total)}  {100 * done // total} %"
    if elapsed > 0.5 and 0 < done < total:
        speed = done / elapsed
        line += f"  {bytes_text(speed)}/s  {seconds_text((total - done) / speed)} left"
    return line


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
