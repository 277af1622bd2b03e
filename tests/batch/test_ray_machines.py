"""Which machines of a cluster do not answer, answer again, and are gone: each is told of once."""

from __future__ import annotations

import socket
from types import SimpleNamespace
from typing import Any

import pytest

from mcnb.batch.on_ray import machines
from mcnb.batch.on_ray.machines import Machines


class Cluster:
    """What Ray says of a cluster of two machines; the second one's port is real."""

    def __init__(self, port: int) -> None:
        self.said = [self._node("a", 1), self._node("b", port)]

    @staticmethod
    def _node(name: str, port: int) -> dict[str, Any]:
        place = {"NodeManagerHostname": f"host-{name}", "NodeManagerAddress": "127.0.0.1", "NodeManagerPort": port}
        return {"NodeID": name, "Alive": True, **place}

    def nodes(self) -> list[dict[str, Any]]:
        return [dict(node) for node in self.said]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "a")


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machines, "_CALLS", 0.0)


def look(watched: Machines) -> None:
    """Call all of them, and tell what came of it."""
    for _ in range(2):
        watched.look(now=True)
        assert watched._calling is not None
        watched._calling.join()


def test_they_are_told_of_once() -> None:
    told: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    cluster = Cluster(port)
    watched = Machines(cluster, told.append, near=True)
    look(watched)
    assert told == [], "one's own machine, whose port is closed, is not called"
    listener.close()
    look(watched)
    look(watched)
    assert told == [
        "the machine host-b (127.0.0.1) does not answer; if it stays so, its rows are computed again elsewhere"
    ]
    with socket.create_server(("127.0.0.1", port)):
        look(watched)
        assert told[1:] == ["the machine host-b (127.0.0.1) answers again"]
    cluster.said[1]["Alive"] = False
    look(watched)
    assert told[2:] == ["the machine host-b (127.0.0.1) is gone; its rows are computed again elsewhere"]


def test_from_far_nobody_is_called() -> None:
    told: list[str] = []
    watched = Machines(Cluster(1), told.append, near=False)
    for _ in range(3):
        watched.look(now=True)
    assert watched._calling is None
    assert told == []
