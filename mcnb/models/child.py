"""Other programs that do long work for us: run with this Python, stopped when the run is cancelled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence

from mcnb.models.control import Control


def run_child(
    arguments: Sequence[str], *, control: Control, env: Mapping[str, str], on_line: Callable[[str], object]
) -> int:
    """Run this Python with `arguments` and wait until it ends.

    Parameters
    ----------
    arguments : sequence of str
        What follows ``python``.
    control : Control
        Ends the process at once.
    env : mapping
        Set besides our own environment.
    on_line : callable
        Gets each line of its output and errors.

    Returns
    -------
    int
        Its exit status.

    Raises
    ------
    RunCancelledError, RunTimeoutError
        When it was stopped; by then it has ended.
    """
    control.check()
    process = subprocess.Popen(
        [sys.executable, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
        env={**os.environ, "PYTHONUTF8": "1", **env},
        start_new_session=True,  # an interrupt at the terminal is for us: the control passes it on
    )
    with process:
        try:
            with control.calling(process.terminate):
                for line in process.stdout or ():
                    on_line(line)
                process.wait()
        except BaseException:
            process.kill()
            raise
    control.check()
    return process.returncode
