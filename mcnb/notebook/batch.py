"""How far a batch is, in the output of a cell that ends with it: a bar until it is done, its table from then on."""

from __future__ import annotations

import html
import threading
import time
from typing import TYPE_CHECKING, Any

from mcnb.notebook.settings import INTERVAL
from mcnb.runtime.wording import seconds_text

if TYPE_CHECKING:
    from mcnb.runtime.batch import Batch

_QUIET = "font-size: 0.85em; opacity: 0.75; margin: 0.2em 0"


def show_progress(batch: Batch) -> bool:
    """Show a batch in the output of the current cell, and keep it up to date from a thread that ends with the batch.

    Parameters
    ----------
    batch : Batch
        Under way.

    Returns
    -------
    bool
        False where an output cannot be updated: in a terminal, in a script.
    """
    try:
        from IPython import get_ipython
        from IPython.core.displaypub import DisplayPublisher
        from IPython.display import display
    except ImportError:
        return False
    shell = get_ipython()
    if shell is None or type(shell.display_pub) is DisplayPublisher:
        return False
    progress = Progress(batch)
    handle = display(progress.bundle(), raw=True, display_id=True)
    threading.Thread(target=_follow, args=(batch, progress, handle), name="mcnb-display", daemon=True).start()
    return True


def _follow(batch: Batch, progress: Progress, handle: Any) -> None:
    changed = threading.Event()
    stop = batch.listen(changed.set)
    try:
        while not batch.done:
            changed.wait()
            changed.clear()
            handle.update(progress.bundle(), raw=True)
            time.sleep(INTERVAL)
    finally:
        stop()
    handle.update(batch._repr_mimebundle_(), raw=True)


class Progress:
    """What is said of a batch while it is under way.

    Parameters
    ----------
    batch : Batch
        Whose rows are counted.
    """

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._began = time.monotonic()
        self._before = batch.finished

    def line(self) -> str:
        """Say how far it is, how fast, and how long it still takes."""
        batch = self._batch
        finished, total, failed = batch.finished, len(batch.rows), len(batch.failed)
        parts = [f"{finished:,} of {total:,} rows"]
        parts += [f"{failed:,} failed"] if failed else []
        seconds, fresh = time.monotonic() - self._began, finished - self._before
        if fresh > 0 and seconds > 0:
            parts.append(f"{fresh / seconds:,.1f} rows/s")
            tokens = sum(row.record.usage.output_tokens for row in batch.rows if row.record is not None)
            parts.append(f"{tokens / seconds:,.0f} tokens/s")
            parts.append(f"{seconds_text((total - finished) * seconds / fresh)} left")
        if batch.state == "cancelling":
            parts.append("stopping")
        return " · ".join(parts)

    def bundle(self) -> dict[str, str]:
        """Return it by MIME type."""
        line, batch = self.line(), self._batch
        bar = (
            f'<progress value="{batch.finished}" max="{len(batch.rows)}" style="width: 100%; max-width: 30em" '
            'aria-label="rows"></progress>'
        )
        shown = f'<div style="padding: 0 0.5em">{bar}<div style="{_QUIET}">{html.escape(line)}</div></div>'
        return {"text/plain": line, "text/html": shown}
