"""A process that loads, uses and unloads models over and over, and prints its memory in between: started by R15."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from mcnb.compose.schema import LocalSource
from mcnb.models.cache import ModelCache, ModelSpec
from mcnb.models.control import Control
from mcnb.models.parameters import check_parameters
from mcnb.models.progress import no_report
from tests.support.grown_models import grown

NAMES = ("llama", "gpt2_dialog", "t5", "codegen")
"""One of each kind of forward pass: segments, learned positions, encoder-decoder, an adapter of its own."""

SETTLING = 6
"""Cycles of each before the first measurement."""


def resident() -> int:
    """Bytes of this process that are its own: pages of files are the system's to take back."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise OSError("the system does not tell the memory of this process")


def cycle(cache: ModelCache, folder: Path) -> None:
    """Load a model, have it write some tokens, and unload it."""
    spec = ModelSpec(LocalSource(path=str(folder)), folder.parent, precision="bfloat16", allow_pickle=True)
    lease = cache.lease(cache.acquire(spec, no_report).future.result())
    assert lease is not None
    given = check_parameters({"max_output_length": 4, "min_output_length": 0, "num_beams": 1})
    parameters = lease.owner.parameters(given, {}, (7, "user"))
    lease.owner.submit("Once upon a time", parameters, control=Control(), on_text=lambda *_: None).future.result()
    lease.release()
    assert cache.unload() == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cycles", type=int, default=200)
    arguments = parser.parse_args()
    folders = [grown(name, arguments.folder / name) for name in NAMES]
    cache = ModelCache()
    for number in range(SETTLING * len(folders)):
        cycle(cache, folders[number % len(folders)])
    sizes = [resident()]
    for number in range(arguments.cycles):
        cycle(cache, folders[number % len(folders)])
        if (number + 1) % max(1, arguments.cycles // 10) == 0:
            sizes.append(resident())
    sys.stdout.write(json.dumps(sizes) + "\n")
    sys.stdout.flush()
    os._exit(0)  # what torch's threads do at an orderly end is not what is measured


if __name__ == "__main__":
    main()
