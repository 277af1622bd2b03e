"""Every figure beside bare transformers, the peer's server and llama.cpp's: ``python -m tests.benchmarks``.

``--peer PYTHON`` and ``--llama-cpp PYTHON`` name the Pythons of environments that have ``model-compose`` and
``llama-cpp-python[server]``; without one its lines are left out. Everything takes turns, round by round, and each
ratio is one within a round; the figures are medians. Results of earlier calls that a folder holds stay until the same
benchmark is run again, so that they can be run one by one with ``--only``.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.reliability.promise import leave_on_term

from . import plots, report
from .field import Field
from .report import NAMES
from .settings import Result, Settings
from .two_servers import smollm2

ROOT = Path(__file__).parents[2]
LEVELS = (1, 2, 4, 8, 16, 32)
RATES = (0.5, 1.0, 2.0)


def main() -> None:
    """Measure, and write it down."""
    arguments = _arguments()
    leave_on_term()
    os.environ["HF_HUB_OFFLINE"] = "1"
    if not arguments.no_plot:
        importlib.import_module("matplotlib")  # rather now than when everything is measured
    if arguments.redraw:
        _finish(arguments)
        return
    names = arguments.only or NAMES
    if len(names) > 1:
        sys.exit(_one_by_one(names))
    settings = Settings(
        arguments.rounds,
        arguments.tokens,
        tuple(arguments.levels),
        tuple(arguments.rates),
        arguments.requests,
        arguments.model or smollm2(),
        arguments.peer,
        arguments.llama_cpp,
        _say,
    )
    about = report.described(settings)
    _say(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']:.1f}; {settings.rounds} rounds")
    failures: dict[str, str] = {}
    with Field(settings) as field:
        for name in names:
            _say(f"{name}:")
            started = time.monotonic()
            try:
                result: Result = asyncio.run(importlib.import_module(f"tests.benchmarks.{name}").measure(field))
            except Exception as error:
                failures[name] = f"{type(error).__name__}: {error}"
                traceback.print_exc()
                report.write(arguments.out, about, [], {name: failures[name]})
                continue
            report.write(arguments.out, about, [result], {})
            _say(f"{name}: {time.monotonic() - started:.0f} s")
            for aim in result.aims:
                _say(f"  {'met' if aim.met else 'MISSED'}: {aim.what}: {aim.value:.3f} (aim: {aim.wanted})")
    _finish(arguments)
    if failures:
        sys.exit(f"FAILED: {', '.join(failures)}")


def _one_by_one(names: Sequence[str]) -> int:
    """Measure each in a process of its own: what one has left in memory and in threads would slow the next one down."""
    words = iter(sys.argv[1:])
    given = [word for word in words if word != "--only" or not next(words)]
    failed = 0
    for name in names:
        line = [sys.executable, "-m", "tests.benchmarks", *given, "--only", name]
        failed = subprocess.run(line, check=False).returncode or failed
    return failed


def _finish(arguments: argparse.Namespace) -> None:
    """Write the page anew and draw."""
    results = report.read(arguments.out)
    if not arguments.no_plot:
        plots.draw(arguments.out, results)
    report.write(arguments.out, {}, [], {})
    _say(f"written to {arguments.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=NAMES, action="append", help="this benchmark; may repeat")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=64, help="of a run; some take up to 4 times as many")
    parser.add_argument("--levels", type=int, nargs="+", default=LEVELS, help="runs at the same time")
    parser.add_argument("--rates", type=float, nargs="+", default=RATES, help="requests a second that arrive")
    parser.add_argument("--requests", type=int, default=16, help="that arrive in one round")
    parser.add_argument("--peer", type=Path, metavar="PYTHON")
    parser.add_argument("--llama-cpp", type=Path, metavar="PYTHON")
    parser.add_argument("--model", type=Path, metavar="FOLDER")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "benchmarks", metavar="FOLDER")
    parser.add_argument("--no-plot", action="store_true")
    parser.add_argument("--redraw", action="store_true", help="measure nothing; page and pictures from the results")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
