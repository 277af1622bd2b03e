"""One copy of a model for everybody in this process.

A model is known by what it *is* (its files, dtype, device, engine), never by how it is used: an edited compose file
takes effect at once, an unchanged model is never loaded twice, and 32 simultaneous cold calls load it once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import partial

from mcnb.models.control import Control
from mcnb.models.drivers import driver_named
from mcnb.models.drivers.contract import Found, Owner
from mcnb.models.flight import Flights, Waiter
from mcnb.models.lease import Lease, Ready
from mcnb.models.memory import free_memory, returnable_memory
from mcnb.models.progress import Report
from mcnb.models.resident import Resident
from mcnb.models.room import PLENTY
from mcnb.models.spec import ModelSpec

__all__ = ["Lease", "ModelCache", "ModelSpec", "Ready", "shared_cache"]


@dataclass
class _Entry:
    owner: Owner
    memory: int
    leases: int = 0
    last_used: float = field(default_factory=time.monotonic)
    timer: threading.Timer | None = None


class ModelCache:
    """The loaded models of a process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._one_load = threading.Lock()
        self._entries: dict[Hashable, _Entry] = {}
        self._flights: Flights[Ready] = Flights("mcnb-load")
        self.loads = 0
        """How many times weights were brought into memory."""

    def acquire(self, spec: ModelSpec, report: Report) -> Waiter[Ready]:
        """Ask for a model; never blocks.

        Returns
        -------
        Waiter
            Its future gets a ``Ready`` to ``lease``, or the error that kept the model from loading.
        """
        return self._flights.join(spec, lambda control, tell: self._make_ready(spec, control, tell), report)

    def lease(self, ready: Ready) -> Lease | None:
        """Take the right to use a model, or None when it has left memory in the meantime: then ask again."""
        with self._lock:
            entry = self._entries.get(ready.key)
            if entry is None:
                return None
            entry.leases += 1
            if entry.timer is not None:
                entry.timer.cancel()
                entry.timer = None
            return Lease(entry.owner, ready.hit, partial(self._give_back, ready.key, entry))

    def _make_ready(self, spec: ModelSpec, control: Control, report: Report) -> Ready:
        driver = driver_named(spec.driver)
        found = driver.find(spec, control=control, report=report, loaded=self._all_memory())
        key = (spec.driver, found.key)
        if self._has(key):  # a model in memory does not wait for another one to load
            return Ready(key, hit=True)
        with control.locked(self._one_load):  # two specs may mean the same model, and two loads at once may not fit
            if self._has(key):
                return Ready(key, hit=True)
            self._make_room(found)
            with returnable_memory():
                owner = found.load(control, report)
            with self._lock:
                self._entries[key] = _Entry(owner, owner.description.memory)
                self.loads += 1
        return Ready(key, hit=False)

    def _has(self, key: Hashable) -> bool:
        """Whether a model is in memory; one whose engine has ended leaves it here."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or not entry.owner.ended:
                return entry is not None
            self._pop(key)
        entry.owner.close()
        return False

    def _make_room(self, found: Found) -> None:
        """Let idle models leave, the least recently used first, until there is room for another."""
        if not found.size or PLENTY * found.size < free_memory(found.device):
            return
        while found.needed() > (free := free_memory(found.device)):
            if not self._evict_oldest():
                raise found.refusal(free)

    def _all_memory(self) -> int:
        with self._lock:
            return sum(entry.memory for entry in self._entries.values())

    def _evict_oldest(self) -> bool:
        with self._lock:
            idle = [(entry.last_used, key) for key, entry in self._entries.items() if not entry.leases]
            if not idle:
                return False
            _, key = min(idle, key=lambda pair: pair[0])
            entry = self._pop(key)
        entry.owner.close()
        return True

    def _pop(self, key: Hashable) -> _Entry:
        entry = self._entries.pop(key)
        if entry.timer is not None:
            entry.timer.cancel()
        return entry

    def _give_back(self, key: Hashable, entry: _Entry, idle_timeout: float | None) -> None:
        with self._lock:
            if self._entries.get(key) is not entry:
                return  # it has ended and left; another one may be in its place
            entry.leases -= 1
            entry.last_used = time.monotonic()
            if entry.leases or idle_timeout is None:
                return
            entry.timer = timer = threading.Timer(idle_timeout, lambda: self._expire(key, timer))
            timer.daemon = True
            timer.name = "mcnb-idle"
            timer.start()

    def _expire(self, key: Hashable, timer: threading.Timer) -> None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None or entry.timer is not timer:
                return  # it was used again, or is another copy, while the time ran out
            del self._entries[key]
        entry.owner.close()

    def loaded(self) -> list[Owner]:
        """Return the owners of the models in memory."""
        with self._lock:
            return [entry.owner for entry in self._entries.values()]

    def residents(self) -> list[Resident]:
        """Return what there is to tell about the models in memory."""
        with self._lock:
            now = time.monotonic()
            return [
                Resident(
                    name=entry.owner.description.name,
                    device=entry.owner.description.device,
                    dtype=entry.owner.description.dtype,
                    memory=entry.memory,
                    leases=entry.leases,
                    idle=None if entry.leases else now - entry.last_used,
                )
                for entry in self._entries.values()
            ]

    def unload(self, name: str | None = None) -> int:
        """Take idle models out of memory: all, or those of a name. Models in use stay.

        Returns
        -------
        int
            How many left.
        """
        with self._lock:
            leaving = [
                key
                for key, entry in self._entries.items()
                if not entry.leases and name in (None, entry.owner.description.name)
            ]
            entries = [self._pop(key) for key in leaving]
        for entry in entries:
            entry.owner.close()
        return len(entries)


_shared: ModelCache | None = None
_shared_lock = threading.Lock()


def shared_cache() -> ModelCache:
    """Return the one cache of this process."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = ModelCache()
        return _shared
