"""The runtime of a kernel, for a server: runs come in and events go out over a comm.

The server executes one constant line in the kernel, which calls ``start``; everything else is data.

================  ==========================================================================
``protocol``      the messages, for both ends
``host``          takes the comms of servers
``session``       one server: its runs, and the replies to its messages
``served_run``    one of its runs: which events it has been told
``sending``       the thread that sends, many tokens at a time
``documents``     the documents of the runs, checked once
``sendable``      anything as JSON data
``merging``       pieces of text that follow each other, as one
================  ==========================================================================
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mcnb.kernel.host import Host

__all__ = ["start"]

_host: Host | None = None
_lock = threading.Lock()


def start() -> None:
    """Let servers reach the runtime of this process; a second call changes nothing.

    Raises
    ------
    NotSupportedError
        Outside of a kernel.
    """
    global _host
    from comm import get_comm_manager

    from mcnb.errors import NotSupportedError
    from mcnb.kernel.host import Host
    from mcnb.kernel.protocol import TARGET

    manager = get_comm_manager()
    if manager is None:
        raise NotSupportedError("there is no kernel in this process that a server could talk to")
    with _lock:
        if _host is None:
            _host = Host()
        manager.register_target(TARGET, _host.opened)
