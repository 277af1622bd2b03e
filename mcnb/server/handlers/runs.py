"""Runs: taking new ones and listing those there are."""

from __future__ import annotations

from jupyter_server.auth.decorator import authorized
from tornado import web

from mcnb.errors import InvalidInputError, McnbError
from mcnb.server.bodies import NoQuery, RunRequestBody, RunsQuery, check_fields
from mcnb.server.forms import typed_input
from mcnb.server.handlers.following import FollowingHandler
from mcnb.server.keeper import RunRequest
from mcnb.server.metrics import metrics
from mcnb.server.replies import run_body
from mcnb.server.sse import CONTENT_TYPE
from mcnb.server.store import StoredRun

LONGEST_KEY = 255
STATUS_OF_STATE = {"completed": 200, "failed": 500, "cancelled": 409}
"""Of the reply to a client that waits; any other state is 202."""


class RunsHandler(FollowingHandler):
    """All runs."""

    auth_resource = "runs"

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """List runs, the newest first."""
        query = self.query(RunsQuery)
        rows = await (await self.keeper()).list(
            states=None if query.status is None else [query.status],
            workflow=query.workflow_id,
            session_id=query.session_id,
            created_after=query.created_after,
            created_before=query.created_before,
            before=None if query.cursor is None else int(query.cursor),
            limit=query.limit + 1,
        )
        page = rows[: query.limit]
        cursor = str(page[-1].number) if len(rows) > query.limit else None
        self.reply({"runs": [run_body(row, output=False) for row in page], "next_cursor": cursor})

    @web.authenticated
    @authorized
    async def post(self) -> None:
        """Take a run."""
        try:
            self.query(NoQuery)
            body, request = await self._asked()
            run, created = await (await self.keeper()).submit(request)
        except McnbError as error:
            metrics().refused.labels(error.code).inc()
            raise
        if created:
            self.extension.follow(run)
        cancels = body.cancel_on_disconnect
        if cancels is None:
            cancels = request.idempotency_key is None
        if body.stream or self.accepts(CONTENT_TYPE):
            await self.stream(run, 0, cancels=cancels)
        elif not body.wait_for_completion:
            self.reply(run_body(run.row), 202, Location=self.link(run.id))
        else:
            row = await self.wait_for(run, cancels=cancels)
            if row is not None:
                self._answer(row, output_only=body.output_only)

    async def _asked(self) -> tuple[RunRequestBody, RunRequest]:
        fields = self.fields()
        body = check_fields(RunRequestBody, fields)
        values = body.input
        catalog = await self.catalog()
        if fields.is_form and values:
            entry = catalog.find(body.workflow_id)
            values = typed_input(entry.document.inputs(entry.workflow.id), values)
        request = RunRequest(
            workflow_id=body.workflow_id,
            input=values,
            seed=body.seed,
            parameters=body.parameters or {},
            timeout=body.timeout,
            priority=body.priority,
            kernel_id=body.kernel_id,
            session_id=body.session_id,
            metadata=body.metadata,
            idempotency_key=self._idempotency_key(),
        )
        return body, request

    def _idempotency_key(self) -> str | None:
        key = self.request.headers.get("Idempotency-Key")
        if key is not None and not (0 < len(key) <= LONGEST_KEY and key.isascii() and key.isprintable()):
            message = f"Idempotency-Key has to be 1 to {LONGEST_KEY} printable ASCII characters"
            raise InvalidInputError(message, errors=[{"field": "Idempotency-Key", "message": message}])
        return key

    def _answer(self, row: StoredRun, *, output_only: bool) -> None:
        if output_only and row.state == "completed":
            self.set_header("Location", self.link(row.id))
            self.reply(row.output)
        else:
            self.reply(run_body(row), STATUS_OF_STATE.get(row.state, 202), Location=self.link(row.id))
