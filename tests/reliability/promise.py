"""How a script of this folder is started, what it prints, and the figure it ends with."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

Measure = Callable[["Task"], Awaitable["Figure"]]


@dataclass
class Figure:
    """What was measured, in a few words, every way in which the promise was broken, and what came too late.

    Lateness is apart: beside other work on the same cores a figure says little, so the tests do not judge it.
    """

    id: str
    promise: str
    figure: str
    broken: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    seed: int = 0
    seconds: float = 0.0

    @property
    def kept(self) -> bool:
        return not self.broken and not self.late

    def __str__(self) -> str:
        verdict = "kept" if self.kept else f"BROKEN {len(self.broken) + len(self.late)} times"
        return f"{self.id}: {verdict}: {self.figure} (seed {self.seed}, {self.seconds:.0f} s)"


@dataclass
class Task:
    """How much to do, with which random numbers, and where."""

    rounds: int
    seed: int
    folder: Path
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)

    def progress(self, number: int, text: str) -> None:
        """Say how a round went; of many rounds, ten times in all and whenever `text` says so with a mark."""
        if self.rounds <= 20 or number % max(1, self.rounds // 10) == 0 or text.startswith("!"):
            self.say(f"  {number}/{self.rounds} {text}")


def measure(measure_in: Measure, rounds: int, seed: int | None = None, *, quiet: bool = False) -> Figure:
    """Do a script's work in a folder of its own and return its figure."""
    drawn = random.SystemRandom().randrange(2**32) if seed is None else seed
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mcnb-", ignore_cleanup_errors=True) as folder:
        say = (lambda text: None) if quiet else _say
        say(f"{rounds} rounds, --seed {drawn}")
        figure = asyncio.run(_measured(measure_in, Task(rounds, drawn, Path(folder), say)))
    figure.seed, figure.seconds = drawn, time.monotonic() - started
    return figure


async def _measured(measure_in: Measure, task: Task) -> Figure:
    return await measure_in(task)


def command(measure_in: Measure, rounds: int, text: str | None) -> None:
    """Read a script's arguments, do its work, print one line, and leave with 1 when the promise is broken."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--seed", type=int, help="for the same random points again; drawn and printed otherwise")
    arguments = parser.parse_args()
    leave_on_term()
    figure = measure(measure_in, arguments.rounds, arguments.seed)
    for fault in [*figure.broken, *figure.late][:20]:
        _say(f"  broken: {fault}")
    _say(str(figure))
    sys.exit(0 if figure.kept else 1)


def leave_on_term() -> None:
    """Leave as after an error when the process is asked to end, so that the servers it started end too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def percentile(values: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of the values do not exceed."""
    if len(values) < 2:
        return max(values, default=0.0)
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
