"""What is told about the models in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mcnb.models.cache import ModelCache
from mcnb.models.progress import no_report

from .calls import spec
from .conftest import Folders

PATIENCE = 60


@pytest.fixture
def cache() -> Iterator[ModelCache]:
    made = ModelCache()
    yield made
    made.unload()


def test_residents_say_what_uses_memory_and_who_uses_them(cache: ModelCache, folders: Folders) -> None:
    wanted = spec(folders("gpt_neo"))
    assert cache.residents() == []
    ready = cache.acquire(wanted, no_report).future.result(PATIENCE)
    (idle,) = cache.residents()
    assert idle.leases == 0
    assert idle.idle is not None
    assert idle.idle >= 0
    lease, other = cache.lease(ready), cache.lease(ready)
    assert lease is not None
    assert other is not None
    loaded = lease.owner.loaded
    (used,) = cache.residents()
    assert (used.leases, used.idle) == (2, None)
    assert (used.name, used.device, used.dtype) == (
        loaded.snapshot.name,
        loaded.placement.device,
        loaded.placement.dtype,
    )
    assert used.memory == loaded.memory > 0
    assert cache.unload(used.name) == 0, "it is in use"
    lease.release()
    other.release()
    (again,) = cache.residents()
    assert again.leases == 0
    assert cache.unload(again.name) == 1
    assert cache.residents() == []
