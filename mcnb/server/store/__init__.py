"""The run store: every run a server takes, its events and its document, in one SQLite file.

What a future of the store gives has been written to the disk. Events are append-only and numbered without gaps; a
finished run never changes; one server at a time uses a file.
"""

from mcnb.server.store.rows import TERMINAL, Finish, NewRun, StoredDocument, StoredRun, first_event
from mcnb.server.store.store import RunStore

__all__ = ["TERMINAL", "Finish", "NewRun", "RunStore", "StoredDocument", "StoredRun", "first_event"]
