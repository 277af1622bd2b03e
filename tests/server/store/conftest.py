"""A store in a folder of its own, and runs to put into it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mcnb.server.store import NewRun, RunStore, StoredDocument
from mcnb.server.store.writer import Writer

DOCUMENT = StoredDocument("d1", {"component": {"type": "model"}}, "/work", ["model-compose.yml"])


def new_run(name: str, *, created: float = 1000.0, **fields: Any) -> NewRun:
    values: dict[str, Any] = {
        "workflow": "story",
        "document": DOCUMENT,
        "request": {"input": {"prompt": "Once"}, "seed": 7},
        "priority": "api",
    }
    return NewRun(id=name, created=created, **{**values, **fields})


def token(text: str) -> dict[str, Any]:
    return {"type": "token", "time": 1001.5, "job": "j", "text": text}


def state(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "state", "time": 1002.5, "state": name, **fields}


def writer(store: RunStore) -> Writer:
    """The store's writer: tests use it for what only its own connection can do."""
    return store._writer


def pragma(store: RunStore, text: str) -> asyncio.Future[Any]:
    return writer(store).put(lambda connection: connection.exec_driver_sql(f"PRAGMA {text}").scalar())


async def until_something_waits(store: RunStore) -> None:
    while not writer(store)._late:  # noqa: ASYNC110 - a thread has no event for it
        await asyncio.sleep(0.001)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "runs.db"


@pytest.fixture
def open_store(path: Path) -> Iterator[Callable[..., RunStore]]:
    """Opens the store; full disks are tried again without a pause."""
    opened: list[RunStore] = []

    def opener(**options: Any) -> RunStore:
        opened.append(RunStore.open(path, **{"wait": lambda changed, _: changed.wait(0.001), **options}))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[..., RunStore]) -> RunStore:
    return open_store()
