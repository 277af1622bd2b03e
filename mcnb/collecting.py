"""Python's garbage collection, paused while much is imported at once.

What an import makes stays. Looking through it for garbage, again and again while it grows, takes a quarter of the time
until a model is there.
"""

from __future__ import annotations

import contextlib
import gc
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_pausing = 0
_was_on = False


@contextlib.contextmanager
def paused() -> Iterator[None]:
    """Within the block, in all threads, no garbage is collected, unless somebody else asks for it."""
    global _pausing, _was_on
    with _lock:
        if not _pausing:
            _was_on = gc.isenabled()
            gc.disable()
        _pausing += 1
    try:
        yield
    finally:
        with _lock:
            _pausing -= 1
            if not _pausing and _was_on:
                if not gc.get_freeze_count():  # else somebody else has frozen objects, which must stay so
                    gc.freeze()
                    gc.unfreeze()  # all are old now, without having been looked through
                gc.enable()
