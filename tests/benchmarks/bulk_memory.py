"""Bulk runs of an input that is larger than what may be in memory: how much of it is, while all of it streams.

``python -m tests.benchmarks.bulk_memory [--gigabytes 2] [--column 100000] [--minutes 9] [--engine local] [--seed N]``
writes JSON lines with a short prompt and a long column, which goes into the output as it is (``--keep``). So all bytes
are read three times (checked, computed, joined) and written once, while the rows are few enough for a tiny model to
compute every one, one token each. A job that is not over after so many minutes is interrupted as by Ctrl-C, and it is
told how far it was. Leaves with 1 when memory grew with the rows.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import statistics
import sys
import tempfile
import time
from pathlib import Path

from tests.support.tiny_models import gpt_neo

from .bulk import DOCUMENT, measured

GROWTH = 0.15
"""Of the memory in the second half of the job over that in the first, at most."""

PARTS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--column", type=int, default=100_000, help="characters of the long column")
    parser.add_argument("--minutes", type=float, default=9.0)
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mcnb-") as name:
        folder = Path(name)
        source, out = folder / "in.jsonl", folder / "out.jsonl"
        rows = _write(source, arguments.gigabytes * 1e9, arguments.column, random.Random(arguments.seed))
        size = source.stat().st_size
        print(f"{rows:,} rows, {size / 1e9:.2f} GB, --seed {arguments.seed}", flush=True)
        document = folder / "model-compose.yml"
        document.write_text(DOCUMENT.format(model=gpt_neo(folder / "tiny", context=128), tokens=1))
        line = ["batch", "-f", str(document), str(source), "-o", str(out), "--keep", "article"]
        found = measured([*line, "--engine", arguments.engine, "--seed", str(arguments.seed)], arguments.minutes * 60)
        print(found.said.strip())
        whole = out.exists() and sum(1 for _ in out.open("rb")) == rows
        state = f"whole, {out.stat().st_size / 1e9:.2f} GB written" if whole else "interrupted"
        print(f"{arguments.engine}: {state}; {found.seconds:.0f} s, peak memory {found.peak / 1e6:.0f} MB")
    end = found.series[-1][0]
    parts: list[list[int]] = [[] for _ in range(PARTS)]
    for when, memory in found.series:
        parts[min(PARTS - 1, int(when / end * PARTS))].append(memory)
    medians = [statistics.median(part) / 1e6 for part in parts if part]
    print(f"MB in each tenth of the time: {', '.join(f'{value:.0f}' for value in medians)}")
    half = len(medians) // 2
    sys.exit(0 if max(medians[half:]) <= (1 + GROWTH) * max(medians[:half]) else 1)


def _write(path: Path, size: float, column: int, draw: random.Random) -> int:
    """Write rows until the file is so large, and return how many there are."""
    started, rows = time.monotonic(), 0
    with path.open("w") as file:
        while file.tell() < size:
            article = (f"{draw.getrandbits(256):x} " * (column // 60 + 1))[:column]
            file.write(json.dumps({"prompt": f"{rows} is", "article": article}) + "\n")
            rows += 1
    print(f"written in {time.monotonic() - started:.0f} s", flush=True)
    return rows


if __name__ == "__main__":
    main()
