"""Accepts runs and appends to them until it is killed; says each that was acknowledged: ``id events``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from mcnb.server.store import RunStore
from tests.server.store.conftest import new_run, token


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def accept(store: RunStore, turn: str, worker: int) -> None:
    for n in range(1_000_000):
        name = f"{turn}-{worker}-{n}"
        await store.accept(new_run(name, idempotency_key=name, request_sha256="x"))
        say(f"{name} 1")
        events = await store.append(name, [token("a"), token("b")])
        say(f"{name} {events[-1]['id']}")


async def main() -> None:
    store = RunStore.open(Path(sys.argv[1]))
    await asyncio.gather(*(accept(store, sys.argv[2], worker) for worker in range(4)))


asyncio.run(main())
