"""transformers without anything around it, in a process of its own.

In one process with mcnb each would slow the other down: threads that multiply keep workers (OpenMP), and where these
are more than there are cores, all of them sleep between two products.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Generated:
    """One call of ``generate``: how long it took, when its first tokens were there (seconds), how many there were."""

    first: float
    seconds: float
    tokens: int


class Bare:
    """A process with a model that transformers loaded; see ``Model``."""

    def __init__(self, folder: Path, dtype: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.bare", str(folder), dtype],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def generate(
        self, prompts: list[str], tokens: int, attention: str = "sdpa", sampling: Mapping[str, Any] | None = None
    ) -> Generated:
        """Have it generate; see ``Model.generate``."""
        ours, theirs = self._process.stdin, self._process.stdout
        if ours is None or theirs is None:
            raise RuntimeError("the process has no pipes")
        ours.write(json.dumps([prompts, tokens, attention, sampling]) + "\n")
        ours.flush()
        while line := theirs.readline():
            if line.startswith("{"):
                return Generated(**json.loads(line))
        raise RuntimeError(f"bare transformers left with {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


class Model:
    """A model that transformers loaded, and its ``generate``.

    Parameters
    ----------
    folder : Path
        Of the model.
    dtype : str
        ``float32`` or ``bfloat16``.
    """

    def __init__(self, folder: Path, dtype: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.dtype = dtype
        self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, padding_side="left")
        if self._tokenizer.pad_token is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        self._model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()

    def generate(
        self, prompts: list[str], tokens: int, attention: str = "sdpa", sampling: Mapping[str, Any] | None = None
    ) -> Generated:
        """Generate so many tokens for each of the prompts, in one call; text to text, and greedily unless told how."""
        self._model.set_attn_implementation(attention)
        clock = _Clock()
        started = time.perf_counter()
        given = self._tokenizer(prompts, return_tensors="pt", padding=True)
        output = self._model.generate(
            **given,
            max_new_tokens=tokens,
            min_new_tokens=tokens,
            streamer=clock,
            do_sample=sampling is not None,
            **(sampling or {}),
        )
        self._tokenizer.batch_decode(output, skip_special_tokens=True)
        seconds = time.perf_counter() - started
        made = (output.shape[-1] - given["input_ids"].shape[-1]) * output.shape[0]
        if made != tokens * len(prompts):
            raise RuntimeError(f"generate made {made} tokens instead of {tokens * len(prompts)}")
        return Generated(clock.times[1] - started, seconds, made)


class _Clock:
    """Is told the prompt, and then each step's tokens."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def put(self, tokens: Any) -> None:
        self.times.append(time.perf_counter())

    def end(self) -> None:
        pass


def main() -> None:
    """Load the model, and do what each line of standard input says."""
    model = Model(Path(sys.argv[1]), sys.argv[2])
    for line in sys.stdin:
        sys.stdout.write(json.dumps(vars(model.generate(*json.loads(line)))) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
