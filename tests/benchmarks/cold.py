"""From the start of a process to its first token: mcnb's Python API and command, and scripts that do the same."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

from .field import Field
from .settings import Aim, Result, median, paired

PROMPT = "Once upon a time"
TOKENS = 8
ROOT = Path(__file__).parents[2]
API, COMMAND = "mcnb, Python API", "mcnb run"
PAUSE = 0.5


async def measure(field: Field) -> Result:
    """Start each of them in turn; the first round fills the page cache and does not count."""
    settings = field.settings
    ways = _commands(field)
    first: dict[str, list[float]] = {name: [] for name in ways}
    whole: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(settings.rounds + 1):
        for name, command in ways.items():
            await asyncio.sleep(PAUSE)
            begun, ended, text = _started(command)
            if field.prompts.count(text) < TOKENS - 2:
                raise RuntimeError(f"{name} said {text!r} instead of {TOKENS} tokens")
            if number:
                first[name].append(begun)
                whole[name].append(ended)
        if not number:
            settings.say("  warmed up")
        else:
            told = ", ".join(f"{name} {found[-1]:.2f}" for name, found in first.items())
            settings.say(f"  round {number}: {told} s")
    result = Result("cold", "Process start to first token, files in the page cache", ["", "first token", "whole"])
    for name in ways:
        result.rows.append([name, f"{median(first[name]):.2f} s", f"{median(whole[name]):.2f} s"])
    scripts = [name for name in ways if name not in (API, COMMAND)]
    best = min((name for name in scripts if "auto" in name), key=lambda name: median(first[name]))
    for name in (API, COMMAND):
        value = paired(first[name], first[best])
        what = f"{name}, time of the best script for any model, `{best}`"
        result.aims.append(Aim(5, what, value, "<= 1.15", value <= 1.15))
    result.notes = [
        "`auto`: AutoModelForCausalLM and AutoTokenizer, for any model, as mcnb is; `named`: LlamaForCausalLM and "
        "PreTrainedTokenizerFast written into the script.",
        f"{TOKENS} tokens; `mcnb run` writes to a terminal.",
    ]
    result.values = {"first_token_seconds": first, "whole_seconds": whole}
    return result


def _commands(field: Field) -> dict[str, list[str]]:
    python, given = sys.executable, [PROMPT, str(TOKENS)]
    document, folder = str(field.document), str(field.settings.model)
    inputs = ["-i", f"prompt={PROMPT}", "-i", f"tokens={TOKENS}"]
    ways = {
        API: [python, str(ROOT / "tests/benchmarks/cold_ours.py"), document, *given],
        COMMAND: [python, "-m", "mcnb", "run", "-q", "-f", document, "streamed", *inputs],
    }
    script = str(ROOT / "tests/benchmarks/cold_bare.py")
    for dtype in ("bfloat16", "float32"):
        for classes in ("auto", "named"):
            ways[f"script, {dtype}, {classes}"] = [python, script, folder, *given, dtype, classes]
    return ways


def _started(command: list[str]) -> tuple[float, float, str]:
    """Run a command on a terminal; return when its first text came, when it ended (seconds), and the text."""
    ours, theirs = os.openpty()
    started = time.perf_counter()
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE
    ) as process:
        os.close(theirs)
        first, said = 0.0, b""
        try:
            with contextlib.suppress(OSError):  # how a terminal says that nobody writes any more
                while piece := os.read(ours, 65536):
                    first = first or time.perf_counter() - started
                    said += piece
        finally:
            os.close(ours)
        _, errors = process.communicate()
        seconds = time.perf_counter() - started
    if process.returncode or not first:
        raise RuntimeError(f"{' '.join(command)} left with {process.returncode}:\n{errors.decode()[-2000:]}")
    return first, seconds, said.decode().replace("\r\n", "\n")
