"""Watching: who waits for which run, so that a client who leaves cancels only what nobody else waits for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager


class Watching:
    """Counts the clients that wait for runs."""

    def __init__(self) -> None:
        self._clients: Counter[str] = Counter()

    @contextmanager
    def watch(self, run_id: str) -> Iterator[None]:
        """Count one more client for a run."""
        self._clients[run_id] += 1
        try:
            yield
        finally:
            self._clients[run_id] -= 1
            if not self._clients[run_id]:
                del self._clients[run_id]

    def watched(self, run_id: str) -> bool:
        """Return whether anybody waits for a run."""
        return run_id in self._clients

    def __len__(self) -> int:
        return self._clients.total()
