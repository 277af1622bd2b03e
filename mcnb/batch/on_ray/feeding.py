"""How rows get from the process of the job to where Ray reads them: a piece at a time, when it is asked for.

The job's process alone reads the input, so no other machine needs its files, and there is never more of it in memory
than the pieces that Ray asks for. Ray Data decides how many that are.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from typing import Any

from mcnb.batch.items import Pieces
from mcnb.batch.task import Item

_TURN = 1.0
"""Seconds that the job's process waits for a wish at a time."""

_PATIENCE = 5.0
"""Seconds that a cluster gets to answer when the job stops."""


class LostError(Exception):
    """The job's process cannot be reached by a worker, and may have stopped or not."""


class Feeder:
    """Where pieces are asked for and handed over; an actor, which computes nothing."""

    def __init__(self) -> None:
        self._wishes: asyncio.Queue[int] = asyncio.Queue()
        self._given: dict[int, list[asyncio.Future[bytes]]] = {}
        self._over = asyncio.Event()

    async def ask(self, piece: int) -> bytes:
        """Wait for a piece; there is nothing in it when the job has stopped."""
        if self._over.is_set():
            return packed([])
        future = asyncio.get_running_loop().create_future()
        self._given.setdefault(piece, []).append(future)
        self._wishes.put_nowait(piece)
        return await future  # type: ignore[no-any-return]

    async def wished(self, seconds: float) -> int | None:
        """Wait for a wish; None when there is none."""
        with contextlib.suppress(asyncio.TimeoutError):
            return await asyncio.wait_for(self._wishes.get(), seconds)
        return None

    async def over(self) -> None:
        """Wait until the job stops."""
        await self._over.wait()

    async def stop(self) -> None:
        """Stop the job: workers cancel what they compute, and nobody waits for rows any more."""
        self._over.set()
        for piece in list(self._given):
            await self.give(piece, packed([]))

    async def give(self, piece: int, data: bytes) -> None:
        """Hand a piece over to whoever asked for it."""
        for future in self._given.pop(piece, ()):
            if not future.done():
                future.set_result(data)


class Feeding:
    """Reads what is asked for, in a thread of its own.

    Parameters
    ----------
    ray : module
        Ray.
    feeder : actor
        A Feeder.
    items : Pieces
        What is to be computed.

    Attributes
    ----------
    error : BaseException or None
        Why it ended early.
    """

    def __init__(self, ray: Any, feeder: Any, items: Pieces) -> None:
        self.error: BaseException | None = None
        self._ray = ray
        self._feeder = feeder
        self._items = items
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="mcnb-feeding", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop the workers and whoever waits for rows."""
        self._stopping.set()
        with contextlib.suppress(Exception):  # the cluster may be gone
            self._ray.get(self._feeder.stop.remote(), timeout=_PATIENCE)

    def close(self) -> None:
        """End the feeder and the thread; workers that still live take that for a lost job."""
        with contextlib.suppress(Exception):
            self._ray.kill(self._feeder)
        self._thread.join(_PATIENCE)

    def _feed(self) -> None:
        try:
            while not self._stopping.is_set():
                piece = self._ray.get(self._feeder.wished.remote(_TURN))
                if piece is not None:
                    self._ray.get(self._feeder.give.remote(piece, packed(self._items.piece(piece))))
        except Exception as error:  # told by whoever waits for the results
            if not self._stopping.is_set():
                self.error = error


def packed(items: list[Item]) -> bytes:
    """Return items as bytes."""
    return json.dumps([list(item) for item in items]).encode()


def unpacked(data: bytes) -> list[Item]:
    """Return the items of bytes."""
    return [Item(*found) for found in json.loads(data)]
