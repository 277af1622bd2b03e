"""One run: its state, its events, and what can be done with it."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from jupyter_server.auth.decorator import authorized
from tornado import web

from mcnb.runtime.interruption import KEPT
from mcnb.server.bodies import EventsQuery, NoQuery, OutputQuery, ResumeBody, check_fields
from mcnb.server.handlers.base import Handler
from mcnb.server.handlers.following import FollowingHandler
from mcnb.server.replies import run_body, run_details
from mcnb.server.sse import read_last_id

STATUS_OF_OUTPUT = {"completed": 200, "failed": 409, "cancelled": 409}
"""Of the reply to a client that wants the output alone; any other state is 202."""


class RunHandler(Handler):
    """One run."""

    auth_resource = "runs"
    _track_activity = False
    details: ClassVar[bool] = True

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Describe a run, or give its output alone."""
        query = self.query(OutputQuery)
        row = (await (await self.keeper()).find(run_id)).row
        if not query.output_only:
            self.reply(run_details(row) if self.details else run_body(row))
        elif row.state == "completed":
            self.reply(row.output)
        else:
            self.reply(run_body(row), STATUS_OF_OUTPUT.get(row.state, 202))


class FinishedRunHandler(RunHandler):
    """One run, which can be deleted once it is over."""

    @web.authenticated
    @authorized
    async def delete(self, run_id: str) -> None:
        """Delete a run that is over."""
        self.query(NoQuery)
        await (await self.keeper()).delete(run_id)
        self.set_status(204)
        self.finish()


class TaskHandler(RunHandler):
    """One run, by the name that the peer's clients know."""

    details = False


class EventsHandler(FollowingHandler):
    """The events of a run."""

    auth_resource = "runs"
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self, run_id: str) -> None:
        """Send the events of a run, from the first or after a number, until it is over."""
        after = read_last_id(self.request.headers.get("Last-Event-ID"), self.query(EventsQuery).after)
        await self.stream(await (await self.keeper()).find(run_id), after)


class CancelHandler(Handler):
    """Cancelling a run."""

    auth_resource = "runs"
    patience: ClassVar[float] = 5.0
    """Seconds to wait for the run's end."""

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Cancel a run; the reply comes when computing has stopped, or after some seconds."""
        self.query(NoQuery)
        keeper = await self.keeper()
        run = await keeper.find(run_id)
        await keeper.cancel(run_id)
        if not run.done:
            ending = asyncio.ensure_future(run.wait())
            until: list[asyncio.Future[Any]] = [ending, self.left]
            await asyncio.wait(until, timeout=self.patience, return_when=asyncio.FIRST_COMPLETED)
            if not ending.done():
                ending.cancel()
                await asyncio.wait([ending])
        self.reply(run_body(run.row), 200 if run.done else 202)


class ResumeHandler(Handler):
    """Answering an interrupted run."""

    auth_resource = "runs"

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Answer an interrupted run, which goes on."""
        self.query(NoQuery)
        body = check_fields(ResumeBody, self.fields())
        keeper = await self.keeper()
        row = await keeper.resume(run_id, body.answer if "answer" in body.model_fields_set else KEPT)
        self.reply(run_body(row), 202, Location=self.link(run_id))


class RetryHandler(Handler):
    """Repeating a run."""

    auth_resource = "runs"

    @web.authenticated
    @authorized
    async def post(self, run_id: str) -> None:
        """Run the same again: same document, input, seed and parameters."""
        self.query(NoQuery)
        run = await (await self.keeper()).retry(run_id)
        self.extension.follow(run)
        self.reply(run_body(run.row), 202, Location=self.link(run.id))
