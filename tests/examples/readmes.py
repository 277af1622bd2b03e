"""The commands in the examples' pages, and the outputs that stand below them."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from tests.examples.guide import EXAMPLES

ROOT = EXAMPLES.parent

_SHOWN = re.compile(
    r"```bash\n(?P<command>mcnb run (?:(?!```).)*?)```\n(?P<between>(?:(?!```).)*?)```text\n(?P<output>.*?)```\n",
    re.DOTALL,
)


class Shown(NamedTuple):
    """A command of a page, and what it prints.

    Attributes
    ----------
    page : Path
        Where it stands.
    arguments : tuple of str
        Those of ``mcnb``.
    output : str
        With a line's end, as it has to have on a page.
    span : tuple of int
        Where the output begins and ends in the page.
    """

    page: Path
    arguments: tuple[str, ...]
    output: str
    span: tuple[int, int]

    def __str__(self) -> str:
        return str(self.page.parent.relative_to(EXAMPLES))


def shown() -> Iterator[Shown]:
    """Find all of them."""
    for page in sorted(EXAMPLES.rglob("*.md")):
        for found in _SHOWN.finditer(page.read_text(encoding="utf-8")):
            words = shlex.split(found["command"].replace("\\\n", " "))
            yield Shown(page, tuple(words[1:]), found["output"], found.span("output"))


def commands(page: Path) -> Iterator[list[str]]:
    """Find the words of all ``mcnb`` commands in a page's blocks."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("mcnb "):
                yield shlex.split(line, comments=True)


def as_shown(printed: str) -> str:
    """What a command prints, as it stands on a page."""
    return printed if printed.endswith("\n") else printed + "\n"


def machine_of_the_outputs() -> dict[str, Any]:
    """What the bytes of a text depend on, besides the seed: where all of this is the same, so is every output."""
    import tokenizers
    import torch
    import transformers

    from mcnb.models.hardware import choose
    from mcnb.models.measurements import machine
    from mcnb.models.packing import gains

    dtype = choose("auto", "auto", "bfloat16").dtype
    return {
        "cpu": _cpu(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "measured as": machine(),
        "dtype": dtype,
        "packed": gains(dtype),
        "transformers": transformers.__version__,
        "tokenizers": tokenizers.__version__,
    }


def _cpu() -> str:
    """Family, model and stepping: names are shared by CPUs that round differently."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return "unknown"
    said = dict(reversed([(key.strip(), value.strip()) for key, _, value in (line.partition(":") for line in lines)]))
    return ", ".join(said.get(key, "?") for key in ("vendor_id", "cpu family", "model", "stepping"))
