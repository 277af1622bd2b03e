"""The runtime of this process, made when it is first asked for."""

from __future__ import annotations

import threading

from mcnb.runtime.runtime import Runtime

_default: Runtime | None = None
_default_lock = threading.Lock()


def default_runtime() -> Runtime:
    """Return the Runtime of this process."""
    global _default
    with _default_lock:
        if _default is None:
            _default = Runtime()
        return _default
