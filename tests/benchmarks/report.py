"""What comes of the benchmarks: a JSON file and a Markdown page, and what machine it was."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mcnb.models.measurements import machine

from .settings import Aim, Result, Settings

NAMES = ("throughput", "arrivals", "alone", "prefix", "cold", "invariance", "quantized")
JSON, PAGE = "results.json", "README.md"


def described(settings: Settings) -> dict[str, Any]:
    """Return what the figures depend on."""
    names = ("mcnb", "torch", "transformers", "tokenizers")
    told: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": machine().partition(";")[0],
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in names},
        "load_before": round(os.getloadavg()[0], 2),
        "model": settings.model.name,
        "rounds": settings.rounds,
    }
    if settings.peer is not None:
        told["versions"]["model-compose"] = _version(settings.peer, "model-compose")
    if settings.llama_cpp is not None:
        told["versions"]["llama-cpp-python"] = _version(settings.llama_cpp, "llama-cpp-python")
    return told


def _version(python: Path, name: str) -> str:
    script = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    return subprocess.run([python, "-c", script], check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, about: dict[str, Any], results: list[Result], failures: dict[str, str]) -> None:
    """Write what there is so far; results of other benchmarks that the folder's file holds stay."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = read(folder)
    for result in results:
        kept[result.name] = {"about": about, **_as_json(result)}
    for name, told in failures.items():
        kept[name] = {"about": about, "failed": told}
    (folder / JSON).write_text(json.dumps(kept, indent=1) + "\n")
    (folder / PAGE).write_text(page(read(folder)))


def read(folder: Path) -> dict[str, Any]:
    """Return the results that a folder holds, by name."""
    path = folder / JSON
    found = json.loads(path.read_text()) if path.is_file() else {}
    return {name: found[name] for name in NAMES if name in found}


def _as_json(result: Result) -> dict[str, Any]:
    found = {name: getattr(result, name) for name in ("title", "columns", "rows", "notes", "values")}
    return {**found, "aims": [vars(aim) for aim in result.aims]}


def page(results: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [
        "# Benchmarks",
        "",
        "Written by `make bench`. Each figure is a median; each ratio is one within a round.",
        "",
    ]
    aims = sorted((Aim(**aim) for found in results.values() for aim in found.get("aims", [])), key=lambda a: a.number)
    if aims:
        lines += ["| | measured | aim | |", "|---|---|---|---|"]
        lines += [f"| {a.what} | {_number(a)} | {a.wanted} | {'met' if a.met else '**missed**'} |" for a in aims]
        lines.append("")
    for name, found in results.items():
        lines += [f"## {found.get('title', name)}", ""]
        if "failed" in found:
            lines += [f"**It failed**: {found['failed']}", "", _about(found["about"]), ""]
            continue
        lines += ["| " + " | ".join(found["columns"]) + " |", "|" + "---|" * len(found["columns"])]
        lines += ["| " + " | ".join(row) + " |" for row in found["rows"]]
        lines += ["", *(f"- {note}" for note in [*found["notes"], _about(found["about"])]), ""]
        for picture, shown in PICTURES.get(name, {}).items():
            lines += [f"![{shown}]({picture})", ""]
    return "\n".join(lines)


PICTURES = {
    "throughput": {
        "throughput.png": "Tokens a second of all runs together, against how many there are",
        "first-token.png": "Seconds to the first token, against how many runs there are",
    },
    "arrivals": {"arrivals.png": "Mean seconds to the first token, against how many requests arrive in a second"},
}


def _number(aim: Aim) -> str:
    return f"{aim.value:.2f} s" if aim.unit == "s" else f"{aim.value:.2f} x"


def _about(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    return (
        f"{about['date']}, {about['cpu']}, {about['cores']} cores, {about['memory_gb']} GB; {about['model']}; "
        f"{about['rounds']} rounds; "
        f"load before {about['load_before']}; Python {about['python']}, {versions}."
    )
