"""The server about itself: whether it lives, whether it can take runs, what it can be asked."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from mcnb.server.bodies import NoQuery
from mcnb.server.handlers.base import Handler


class HealthHandler(Handler):
    """Whether the server lives."""

    auth_resource = "workflows"
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say whether the server lives."""
        self.query(NoQuery)
        keeper = await self.keeper()
        self.reply({"status": "stopping"} if keeper.stopping else {"status": "ok"}, 503 if keeper.stopping else 200)


class ReadyHandler(Handler):
    """Whether the server can take a run now."""

    auth_resource = "workflows"
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Say whether the server can take a run now."""
        self.query(NoQuery)
        ready = (await self.keeper()).ready()
        self.reply(ready, 200 if ready["ready"] else 503)


class OpenApiHandler(Handler):
    """What the server can be asked."""

    auth_resource = "workflows"
    _track_activity = False

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Describe all routes, as OpenAPI 3.1."""
        self.query(NoQuery)
        self.reply(self.extension.openapi())
