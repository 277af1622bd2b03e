"""The machines of a cluster while a job runs: which do not answer, and which are gone."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from mcnb.batch.engine import Tell

_LOOKS = 2.0
"""Seconds between two looks at what Ray says of them."""

_CALLS = 10.0
"""Seconds between two calls of all of them."""

_PATIENCE = 3.0
"""Seconds that one gets to take a connection."""


class Machines:
    """Tells of machines that do not answer, and of those that are gone.

    Ray takes half a minute and more to give up a machine that nothing is heard of, and says nothing meanwhile.

    Parameters
    ----------
    ray : module
        Ray.
    tell : callable
        Gets a sentence about each.
    near : bool
        Whether this process is on one of them, and so can call the others.
    """

    def __init__(self, ray: Any, tell: Tell, *, near: bool) -> None:
        self._ray = ray
        self._tell = tell
        self._near = near
        self._own = ray.get_runtime_context().get_node_id()
        self._alive = self._seen()
        self._looked = self._called = time.monotonic()
        self._calling: threading.Thread | None = None
        self._answers: dict[str, bool] = {}
        self._silent: set[str] = set()

    def look(self, *, now: bool = False) -> None:
        """Tell what is new since the last look, which is a while ago."""
        if not now and time.monotonic() - self._looked < _LOOKS:
            return
        self._looked = time.monotonic()
        seen = self._seen()
        for gone in self._alive.keys() - seen.keys():
            self._silent.discard(gone)
            self._tell(f"the machine {_name(self._alive[gone])} is gone; its rows are computed again elsewhere")
        self._alive = seen
        if self._near:
            self._listen()

    def _seen(self) -> dict[str, dict[str, Any]]:
        return {node["NodeID"]: node for node in self._ray.nodes() if node["Alive"]}

    def _listen(self) -> None:
        """Tell what came of the last calls, and call again, in a thread, when it is time."""
        if self._calling is not None and self._calling.is_alive():
            return
        for node in self._alive.keys() & self._answers.keys():
            name = _name(self._alive[node])
            if not self._answers[node] and node not in self._silent:
                self._silent.add(node)
                self._tell(f"the machine {name} does not answer; if it stays so, its rows are computed again elsewhere")
            elif self._answers[node] and node in self._silent:
                self._silent.discard(node)
                self._tell(f"the machine {name} answers again")
        self._answers = {}
        if time.monotonic() - self._called >= _CALLS:
            self._called = time.monotonic()
            others = {key: node for key, node in self._alive.items() if key != self._own}
            self._calling = threading.Thread(target=self._call, args=(others,), daemon=True)
            self._calling.start()

    def _call(self, nodes: dict[str, dict[str, Any]]) -> None:
        for key, node in nodes.items():
            try:
                socket.create_connection((node["NodeManagerAddress"], node["NodeManagerPort"]), _PATIENCE).close()
            except OSError:
                self._answers[key] = False
            else:
                self._answers[key] = True


def _name(node: dict[str, Any]) -> str:
    """Return what people call a machine; its address says which, where names are alike."""
    return f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
