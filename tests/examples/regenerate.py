"""The outputs in the examples' pages, produced again: ``make examples`` runs every command on the real model."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.examples.readmes import ROOT, Shown, as_shown, machine_of_the_outputs, shown

MACHINE = ROOT / "tests" / "examples" / "data" / "outputs.json"
"""Where the outputs that stand in the pages were produced."""


def regenerate(found: Shown) -> None:
    """Run a command in a process of its own, and put what it prints into its page."""
    done = subprocess.run([sys.executable, "-m", "mcnb", *found.arguments], cwd=ROOT, stdout=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(f"{found.page}: the command failed")
    text = found.page.read_text(encoding="utf-8")
    begin, end = found.span
    found.page.write_text(text[:begin] + as_shown(done.stdout.decode()) + text[end:], encoding="utf-8")


def main() -> None:
    """Regenerate all outputs."""
    for number in range(len(list(shown()))):
        found = list(shown())[number]  # again: what went before has moved it
        print(found, flush=True)
        regenerate(found)
    MACHINE.write_text(json.dumps(machine_of_the_outputs(), indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
