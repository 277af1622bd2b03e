"""Bulk runs: the same rows in one process and on Ray; rows a second, peak memory, and whether the texts are the same.

``python -m tests.benchmarks.bulk [--rows 2000] [--tokens 8] [--model FOLDER] [--seed N] [--workers 1 2]``: by default a
tiny model of random weights; `--model` takes SmolLM2's folder. Leaves with 1 when a text differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from tests.support.runs import ROOT

DOCUMENT = """\
component:
  model: {model}
  text: ${{input.prompt as text}}
  max_output_length: {tokens}
  params: {{temperature: 1.0, top_k: 50}}
"""

EVERY = 0.25
"""Seconds between two looks at the memory."""


@dataclass
class Measured:
    """A command, measured from outside.

    Attributes
    ----------
    peak : int
        Bytes of it and all its children, what they share counted once.
    series : list of (float, int)
        Seconds since the start, and those bytes then.
    """

    seconds: float
    peak: int
    said: str
    series: list[tuple[float, int]]


def measured(line: list[str], limit: float | None = None) -> Measured:
    """Run a command and watch its memory; interrupt it, as Ctrl-C does, after so many seconds."""
    import signal

    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    started = time.monotonic()
    series: list[tuple[float, int]] = []
    process = subprocess.Popen(
        [sys.executable, "-m", "mcnb", *line], stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    interrupted = False
    while process.poll() is None:
        series.append((time.monotonic() - started, _memory(process.pid)))
        if limit is not None and series[-1][0] > limit and not interrupted:
            interrupted = True
            process.send_signal(signal.SIGINT)
        time.sleep(EVERY)
    said = process.stderr.read() if process.stderr else ""
    if process.returncode not in (0, 130 if limit is not None else 0):
        raise SystemExit(f"mcnb {' '.join(line)} left with {process.returncode}: {said}")
    return Measured(time.monotonic() - started, max(size for _, size in series), said, series)


def _memory(pid: int) -> int:
    """Return the bytes of a process and its children: proportional, so that shared pages count once."""
    total = 0
    try:
        parent = psutil.Process(pid)
        for one in [parent, *parent.children(recursive=True)]:
            try:
                total += one.memory_full_info().pss
            except (psutil.Error, AttributeError):
                continue
    except psutil.Error:
        pass
    return total


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def begun(journal: list[dict[str, Any]]) -> float:
    return float(next(line["note"] for line in journal if "session" in line))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    arguments = parser.parse_args()
    print(f"{arguments.rows} rows of up to {arguments.tokens} tokens, --seed {arguments.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="mcnb-") as name:
        folder = Path(name)
        document, source = folder / "model-compose.yml", folder / "in.csv"
        document.write_text(DOCUMENT.format(model=arguments.model or _tiny(folder), tokens=arguments.tokens))
        draw = random.Random(arguments.seed)
        words = ("sea", "tiger", "night", "forest", "fire", "star", "heart", "morning")
        lines = [f"{number},The {draw.choice(words)} and the {draw.choice(words)}" for number in range(arguments.rows)]
        source.write_text("\n".join(["id,prompt", *lines, ""]))
        base = ["batch", "-f", str(document), str(source), "--key", "id", "--seed", str(arguments.seed)]
        texts: dict[str, list[Any]] = {}
        print("| engine | rows/s, all of it | rows/s, from the first to the last row | seconds | peak memory |")
        print("|---|---|---|---|---|", flush=True)
        for engine, more in [
            ("local", []),
            *((f"ray, {n} workers", ["--engine", "ray", "--workers", str(n)]) for n in arguments.workers),
        ]:
            out = folder / f"{engine.replace(', ', '-').replace(' ', '-')}.jsonl"
            watched = _Spans(out)
            found = measured([*base, "-o", str(out), *more])
            texts[engine] = [(row["id"], row["state"], row["output"]) for row in rows_of(out)]
            steady = watched.rate(arguments.rows)
            print(
                f"| {engine} | {arguments.rows / found.seconds:.1f} | {steady} | {found.seconds:.1f} "
                f"| {found.peak / 1e6:.0f} MB |",
                flush=True,
            )
    same = all(found == texts["local"] for found in texts.values())
    different = len({text for _, _, text in texts["local"]})
    print(f"identical texts for the same keys: {'yes' if same else 'NO'} ({different} different texts)")
    sys.exit(0 if same else 1)


class _Spans:
    """When the first and the last results of a job came, as its journal's growth says, seen in a thread."""

    def __init__(self, out: Path) -> None:
        import threading

        self._journal = out.with_name(f"{out.name}.journal")
        self._marks: list[tuple[float, int]] = []
        self._over = False
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over:
            try:
                data = self._journal.read_bytes()
                self._marks.append((time.monotonic(), data.count(b'{"row": ')))
            except OSError:
                pass
            time.sleep(EVERY)

    def rate(self, rows: int) -> str:
        self._over = True
        self._thread.join()
        going = [(when, count) for when, count in self._marks if 0 < count < rows]
        if len(going) < 2 or going[-1][0] == going[0][0]:
            return "too quick to tell"
        return f"{(going[-1][1] - going[0][1]) / (going[-1][0] - going[0][0]):.1f}"


def _tiny(folder: Path) -> Path:
    from tests.support.tiny_models import gpt_neo

    return gpt_neo(folder / "tiny", context=128)


if __name__ == "__main__":
    main()
