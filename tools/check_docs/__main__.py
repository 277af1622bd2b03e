"""Check the documentation: ``python -m tools.check_docs``."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tools.check_docs.blocks import blocks
from tools.check_docs.documents import ROOT, with_commands, with_links
from tools.check_docs.links import wrong_links
from tools.check_docs.running import run_blocks
from tools.check_docs.workspace import Workspace


def main() -> int:
    """Check links and markers, then run everything; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.check_docs", description=__doc__)
    parser.add_argument("--only", action="append", metavar="FILE", help="this file; repeat for several")
    parser.add_argument("--workspace", type=Path, metavar="FOLDER", help="use this copy again, as it was installed")
    options = parser.parse_args()
    chosen = [path for path in with_commands() if not options.only or str(path) in options.only]
    found = [problem for path in with_links() for problem in wrong_links(path, ROOT)]
    found += [problem for path in chosen for problem in wrong_blocks(path)]
    for problem in found:
        print(problem)
    if found:
        return 1
    with tempfile.TemporaryDirectory(prefix="check-docs-") as scratch:
        workspace = Workspace(options.workspace or Path(scratch))
        workspace.fill()
        for path in chosen:
            found += run_blocks(str(path), (ROOT / path).read_text(encoding="utf-8"), workspace, _tell)
    for problem in found:
        print(f"\n{problem}")
    print(f"\n{len(chosen)} files, {len(found)} failures")
    return 1 if found else 0


def wrong_blocks(path: Path) -> list[str]:
    """Return what is wrong with the blocks of a file: those that have neither a way to run them nor a reason."""
    text = (ROOT / path).read_text(encoding="utf-8")
    return [f"{path}:{block.line}: the block {block.problem}" for block in blocks(text) if block.problem]


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
