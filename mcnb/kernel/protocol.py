"""The messages between a server and the runtime in a kernel; both ends take the names from here.

They travel over one comm for each server, as JSON mappings with a ``type``. The kernel numbers the events of a run, and
says of every message of events after which number they come, so that the server notices what was lost on the way.
"""

from __future__ import annotations

TARGET = "mcnb.runtime"
"""The comm's target."""

VERSION = 2
"""Of these messages."""

START = "__import__('mcnb.kernel', fromlist=['start']).start()"
"""What the server has the kernel execute; it binds no name, as the kernel may be somebody's notebook."""

ROUND = "round"
"""Messages that are sent together: whatever either end says comes in one."""

# from the server
RUN = "run"
CANCEL = "cancel"
RESUME = "resume"
SYNC = "sync"
FORGET = "forget"
HELLO = "hello"

# from the kernel
READY = "ready"
EVENTS = "events"
REFUSED = "refused"
RESUMED = "resumed"
UNKNOWN = "unknown"

UNSENT = 1
"""The number of a run's first event (pending), which is never sent: the server has written it itself."""
