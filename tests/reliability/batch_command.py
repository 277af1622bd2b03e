"""``mcnb batch`` in a process of its own, what its journal says, and what is wrong with its output."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support.runs import ROOT

PATIENCE = 180

ROW = "model: {model}\ntext: ${{input.prompt as text}}\nmax_output_length: ${{input.n as integer}}\n"
SAMPLED = "params: {temperature: 1.5, top_k: 0, top_p: 1.0}\n"


class BatchCommand:
    """One job: its files, and the command that does it.

    Parameters
    ----------
    folder : Path
        Where everything is.
    rows : int
        Of the input; every fiftieth fails.
    seed : int
        Of the rows' lengths, and of the job.
    """

    def __init__(self, folder: Path, rows: int, seed: int, *, tokens: int = 6) -> None:
        from tests.support.tiny_models import gpt_neo

        folder.mkdir(parents=True)
        self.folder, self.rows, self.seed = folder, rows, seed
        self.document = folder / "model-compose.yml"
        model = gpt_neo(folder / "dice", context=128)
        text = ROW.format(model=model) + SAMPLED
        self.document.write_text("component:\n" + "".join(f"  {line}\n" for line in text.splitlines()))
        self.input, self.output = folder / "in.jsonl", folder / "out.jsonl"
        self.journal = folder / "out.jsonl.journal"
        draw = random.Random(seed)
        lines = [
            {"id": f"k{number}", "prompt": f"{number} is", "n": draw.randint(1, tokens) if number % 50 else 0}
            for number in range(rows)
        ]
        draw.shuffle(lines)
        self.input.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def start(self, *more: str, before: Sequence[str] = (), **environment: str) -> subprocess.Popen[bytes]:
        """Begin the job, or go on with it; `before` is what the command is run by."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
        line = [*before, sys.executable, "-m", "mcnb", "batch", "-f", str(self.document), str(self.input)]
        line += ["-o", str(self.output), "--key", "id", "--seed", str(self.seed), "--resume", *more]
        return subprocess.Popen(
            line,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path, "MCNB_HOME": str(self.folder / "home"), **environment},
        )

    def finish(self, *more: str, **environment: str) -> str:
        """Do what is left of the job, and return what the command said."""
        with self.start(*more, **environment) as process:
            _, said = process.communicate(timeout=PATIENCE)
        if process.returncode:
            raise AssertionError(f"the command left with {process.returncode}: {said.decode()}")
        return said.decode()

    def done(self) -> int:
        """How many results the journal has."""
        return len(results_in(self.journal)) if self.journal.exists() else 0

    def wait_for(self, results: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until the journal has so many results, or the command has ended."""
        limit = time.monotonic() + PATIENCE
        while self.done() < results and process.poll() is None:
            assert time.monotonic() < limit, "nothing happens"
            time.sleep(0.01)

    def texts(self) -> dict[str, Any]:
        """What came of each key."""
        return {row["id"]: (row["state"], row["output"]) for row in self._written()}

    def faults(self, reference: dict[str, Any], journal: Path | None) -> list[str]:
        """What is wrong with the output: keys that are missing or stand twice, other texts, rows computed again."""
        written = Counter(row["id"] for row in self._written())
        found = [f"{key} stands {count} times" for key, count in written.items() if count != 1]
        found += [f"{key} is missing" for key in reference if key not in written]
        found += [
            f"{key}: {text}, not {reference[key]}" for key, text in self.texts().items() if text != reference[key]
        ]
        if journal is not None:
            counts = Counter(line["row"] for line in results_in(journal))
            found += [f"row {row} was finished {count} times" for row, count in counts.items() if count != 1]
            found += [] if len(counts) == self.rows else [f"the journal has {len(counts)} rows"]
        found += ["the journal was left"] if self.journal.exists() and not self._failures() else []
        return found

    def _failures(self) -> int:
        return sum(row["state"] != "completed" for row in self._written())

    def _written(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.output.read_bytes().splitlines()]


def results_in(journal: Path) -> list[dict[str, Any]]:
    """Return the results of a journal that are whole."""
    found = []
    for line in journal.read_bytes().splitlines(keepends=True):
        if line.endswith(b"\n") and b'"row"' in line:
            found.append(json.loads(line))
    return found
