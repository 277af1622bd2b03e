"""Following: a client that waits for a run or reads its events, and what happens when it leaves."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tornado.iostream import StreamClosedError

from mcnb.errors import ConflictError, NotFoundError, ServerStoppingError
from mcnb.server.handlers.base import Handler
from mcnb.server.sse import CONTENT_TYPE, send_events

if TYPE_CHECKING:
    from mcnb.server.keeper import LiveRun
    from mcnb.server.store import StoredRun


class FollowingHandler(Handler):
    """Base of the handlers whose clients stay."""

    async def wait_for(self, run: LiveRun, *, cancels: bool) -> StoredRun | None:
        """Wait until a run is over or interrupted.

        Parameters
        ----------
        run : LiveRun
            The run.
        cancels : bool
            Whether the run is cancelled when the client leaves and nobody else waits for it.

        Returns
        -------
        StoredRun or None
            None when the client has left.

        Raises
        ------
        ServerStoppingError
            When the server stops before.
        """
        with self.extension.watching.watch(run.id):
            waiting = asyncio.ensure_future(run.wait(or_interrupted=True))
            until: list[asyncio.Future[Any]] = [waiting, self.left, self.extension.ending]
            await asyncio.wait(until, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        waiting.cancel()
        await asyncio.wait([waiting])
        if not self.left.done():
            message = f"the server is stopping; the run {run.id} goes on when it is there again"
            raise ServerStoppingError(message, hint="ask for the run then")
        await self._without_client(run, cancels=cancels)
        return None

    async def stream(self, run: LiveRun, after: int, *, cancels: bool = False) -> None:
        """Answer with the events of a run; `cancels` as in ``wait_for``."""
        self.set_status(200)
        self.set_header("Content-Type", CONTENT_TYPE)
        self.set_header("Cache-Control", "no-cache, no-transform")
        self.set_header("X-Accel-Buffering", "no")  # proxies are not to collect events
        self.set_header("Location", self.link(run.id))
        with self.extension.watching.watch(run.id):
            try:
                await send_events(
                    self,
                    run.events(after),
                    heartbeat=self.extension.heartbeat,
                    ended=(self.left, self.extension.ending),
                )
            except StreamClosedError:
                if not self.left.done():
                    self.left.set_result(None)
        if self.left.done():
            await self._without_client(run, cancels=cancels)
        else:
            await self.finish(set_content_type=CONTENT_TYPE)

    async def _without_client(self, run: LiveRun, *, cancels: bool) -> None:
        if cancels and not run.done and not self.extension.watching.watched(run.id):
            with suppress(ConflictError, NotFoundError):  # it ended in this moment
                await (await self.keeper()).cancel(run.id)
