"""All reliability scripts in full, and their table as Markdown.

``python -m tests.reliability [--share 1.0] [--seed N] [--only R3 R4] [--output FILE]``: `share` is the part of the full
number of rounds to do; each script draws its own seed unless one is given. Leaves with 1 when a promise is broken.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

SCRIPTS = {
    "R1": ("r01_full_queue", 5),
    "R3": ("r03_kernel_kills", 200),
    "R4": ("r04_server_kills", 100),
    "R5": ("r05_full_disk", 10),
    "R7": ("r07_fuzzed_requests", 10_000),
    "R10": ("r10_leaving", 200),
    "R11": ("r11_loop_lag", 20),
    "R12": ("r12_reproducibility", 1000),
    "R13": ("r13_cold_requests", 5),
    "R14": ("r14_memory_estimate", 8),
    "R15": ("r15_load_unload", 200),
    "R16": ("r16_stillborn_kernels", 10),
    "R17": ("r17_batch_kills", 20),
    "R18": ("r18_lost_nodes", 3),
    "R19": ("r19_cut_link", 3),
    "R20": ("r20_far_kernel", 10),
}


def row(promise: str, name: str, rounds: int, seed: int | None) -> tuple[str, bool]:
    """Run one script, showing what it says, and return its row of the table and whether the promise was kept."""
    line = [sys.executable, "-m", f"tests.reliability.{name}", "--rounds", str(rounds)]
    started = time.monotonic()
    last = ""
    with subprocess.Popen(
        [*line, *([] if seed is None else ["--seed", str(seed)])], stdout=subprocess.PIPE, text=True
    ) as process:
        for text in process.stdout or ():
            sys.stdout.write(text)
            sys.stdout.flush()
            last = text.strip() or last
    kept = process.returncode == 0
    figure = last.partition(": ")[2] or f"left with {process.returncode} after {time.monotonic() - started:.0f} s"
    return f"| {promise} | {figure.replace('|', '/')} |", kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=list(SCRIPTS))
    parser.add_argument("--output", type=Path, help="a file for the table, besides standard output")
    arguments = parser.parse_args()
    rows, broken = [], False
    for promise in arguments.only:
        name, rounds = SCRIPTS[promise]
        text, kept = row(promise, name, max(1, round(rounds * arguments.share)), arguments.seed)
        rows.append(text)
        broken = broken or not kept
    table = "\n".join(["| id | figure |", "|---|---|", *rows, ""])
    sys.stdout.write(f"\n{table}")
    if arguments.output is not None:
        arguments.output.write_text(table)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
