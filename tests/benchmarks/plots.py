"""Pictures of the figures: throughput and first token against how many ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .settings import median

COLOURS = {
    "mcnb": "#0b6e4f",
    "mcnb up": "#3aa37c",
    "model-compose": "#1f5fa8",
    "llama.cpp server": "#b3541e",
    "generate, bf16": "#7b3f98",
    "generate, fp32": "#5f6b76",
}
"""The same for the same in every picture."""


def draw(folder: Path, results: dict[str, Any]) -> None:
    """Draw what of the results can be drawn."""
    throughput = results.get("throughput", {}).get("values")
    if throughput:
        across = "streaming runs at the same time"
        rates, firsts = throughput["tokens_per_second"], throughput["first_token_seconds"]
        _lines(folder / "throughput.png", _medians(rates), across, "tokens/s, all together", "How much is written")
        streamed = {name: found for name, found in firsts.items() if not name.startswith("generate")}
        _lines(
            folder / "first-token.png", _medians(streamed), across, "seconds", "When the first token comes", log=True
        )
    arrivals = results.get("arrivals", {}).get("values")
    if arrivals:
        means = {
            name: {rate: found["first_token_mean"] for rate, found in rates.items()}
            for name, rates in arrivals["arrivals"].items()
        }
        what = "When the first token comes, on average"
        _lines(folder / "arrivals.png", _medians(means), "requests a second", "seconds", what, log=True)


def _medians(found: dict[str, dict[Any, list[float]]]) -> dict[str, dict[float, float]]:
    return {name: {float(level): median(values) for level, values in levels.items()} for name, levels in found.items()}


def _lines(
    path: Path, lines: dict[str, dict[float, float]], across: str, up: str, title: str, *, log: bool = False
) -> None:
    """Draw lines with their names at their ends."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    plain = FuncFormatter(lambda value, _: f"{value:g}")
    figure, axes = plt.subplots(figsize=(8, 4.8), dpi=150, facecolor="white")
    axes.set_facecolor("white")
    axes.set_xscale("log", base=2)
    if log:
        axes.set_yscale("log")
    ends = []
    for name, line in lines.items():
        colour = COLOURS[name]
        levels = sorted(line)
        axes.plot(levels, [line[level] for level in levels], "o-", color=colour, linewidth=2, markersize=5)
        ends.append((levels[-1], line[levels[-1]], name, colour))
    levels = sorted({level for line in lines.values() for level in line})
    axes.set_xticks(levels)
    axes.xaxis.set_major_formatter(plain)
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_major_formatter(plain)
    if log:
        axes.yaxis.set_minor_locator(LogLocator(subs=(2.0, 5.0)))
        axes.yaxis.set_minor_formatter(plain)
    else:
        axes.set_ylim(bottom=0)
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title, loc="left", fontweight="bold")
    axes.grid(axis="y", color="#e4e7ea")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.canvas.draw()
    _name(axes, ends, last=levels[-1])
    figure.savefig(path, bbox_inches="tight", facecolor="white")
    plt.close(figure)


def _name(axes: Any, ends: list[tuple[float, float, str, str]], last: float) -> None:
    """Write each name beside its line's end; those at the right edge no closer to each other than a line of text."""
    to_points, room = axes.transData.transform, 26.0
    low = float("-inf")
    for x, y, name, colour in sorted(ends, key=lambda end: end[1]):
        at = to_points((x, y))[1]
        shift = 0.0
        if x == last:
            shift = max(0.0, low + room - at)
            low = at + shift
        offset = (8, shift * 72 / axes.figure.dpi) if x == last else (4, -12)
        axes.annotate(name, (x, y), offset, textcoords="offset points", color=colour, va="center", fontsize=9)
