"""A connection in between, which can be lost: neither end hears more of it than that."""

from __future__ import annotations

import asyncio
import contextlib


class Forwarder:
    """Forwards connections to a port of this host, until they are dropped.

    Parameters
    ----------
    port : int
        Where to.

    Attributes
    ----------
    port : int
        Where from.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def drop(self) -> int:
        """Lose all connections, and return how many; new ones can be made at once."""
        lost = len(self._writers) // 2
        for writer in self._writers:
            writer.transport.abort()
        return lost

    async def __aenter__(self) -> Forwarder:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.drop()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            pair = {writer, far_writer}
            self._writers |= pair
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
            self._writers -= pair
        writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()
