"""Work on models outside of a run, as runs do it: in a thread of its own, with its progress, stopped by Ctrl-C."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import TypeVar

from mcnb.cli.terminal import Terminal
from mcnb.models.control import Control
from mcnb.models.progress import Progress, Report
from mcnb.runtime import Event

T = TypeVar("T")

_TURN = 0.5
"""Seconds; on some systems a thread that waits without a limit cannot be interrupted."""


def in_background(work: Callable[[Control, Report], T]) -> T:
    """Do work, showing its progress.

    Parameters
    ----------
    work : callable
        Its result or exception is passed on.

    Raises
    ------
    KeyboardInterrupt
        After an interrupt, when the work has stopped.
    """
    control, outcome, terminal = Control(), Future[T](), Terminal(None, sys.stderr)

    def report(progress: Progress) -> None:
        terminal.progress(Event(0, progress.stage, progress.to_dict(), time.time()))

    def run() -> None:
        try:
            outcome.set_result(work(control, report))
        except BaseException as error:  # whatever it is, it belongs to the caller
            outcome.set_exception(error)

    threading.Thread(target=run, name="mcnb-command", daemon=True).start()
    try:
        while not wait([outcome], _TURN).done:
            continue
    except KeyboardInterrupt:
        control.cancel()
        wait([outcome])
        raise
    finally:
        terminal.clear()
    return outcome.result()
