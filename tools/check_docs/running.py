"""The blocks of one file, one after the other, as a reader would run them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tools.check_docs.blocks import Block, blocks
from tools.check_docs.kernel import Kernel
from tools.check_docs.shell import Failed, Shell
from tools.check_docs.workspace import Workspace


def run_blocks(name: str, markdown: str, workspace: Workspace, tell: Callable[[str], None]) -> list[str]:
    """Run the blocks of a file and return what went wrong.

    Parameters
    ----------
    name : str
        The file's, for messages.
    markdown : str
        Its text.
    workspace : Workspace
        Where.
    tell : callable
        Gets a line for each block.
    """
    shell, kernel = Shell(workspace), Kernel(workspace)
    found, written, sessions = [], list[Path](), ""
    try:
        for block in blocks(markdown):
            place = f"{name}:{block.line}"
            if block.file:
                written.append(workspace.folder / block.file)
                written[-1].write_text(block.text, encoding="utf-8")
                continue
            if block.reason:
                tell(f"{place}  not run: {block.reason}")
            for start, reason in block.way.without.items():
                tell(f"{place}  not run: {start}: {reason}")
            if block.kind == "doctest":
                sessions += f"{block.text}\n"
            if block.kind is None:
                continue
            began = time.monotonic()
            try:
                _run(block, shell, kernel, sessions)
            except (Failed, subprocess.TimeoutExpired, TimeoutError) as error:
                found.append(f"{place}: {error}")
            tell(f"{place}  {'FAILED' if found and found[-1].startswith(f'{place}:') else 'ok'}  "
                 f"{time.monotonic() - began:.1f} s  {_first(block)}")  # fmt: skip
    finally:
        kernel.close()
        shell.close()
        for path in written:
            path.unlink(missing_ok=True)
    return found


def _run(block: Block, shell: Shell, kernel: Kernel, sessions: str) -> None:
    text = block.text
    for old, new in block.way.replace.items():
        if old not in text:
            raise Failed(f"the marker replaces '{old}', which is not there")
        text = text.replace(old, new)
    for start in block.way.without:
        lines = [line for line in text.splitlines(keepends=True) if not line.startswith(start)]
        if len(lines) == len(text.splitlines()):
            raise Failed(f"the marker leaves out '{start}', which is not there")
        text = "".join(lines)
    if block.kind == "shell":
        shell.run(block, text)
    elif block.kind == "session":
        shell.session(text)
    elif block.kind == "doctest":
        shell.doctest(sessions)
    else:
        kernel.run(text)


def _first(block: Block) -> str:
    return block.text.strip().partition("\n")[0][:80]
