"""What can be changed: runs accepted, events appended, runs deleted. Each is one step of a writer's transaction."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from mcnb.errors import ConflictError, NotFoundError
from mcnb.server.store.queries import run_by_id, run_by_key
from mcnb.server.store.rows import TERMINAL, Finish, NewRun, StoredDocument, StoredRun, first_event
from mcnb.server.store.tables import DOCUMENTS, EVENTS, RUNS

# Made once: what is appended of a text that grows is most of what is written.
_STANDING = sa.select(RUNS.c.number, RUNS.c.state, RUNS.c.events).where(RUNS.c.id == sa.bindparam("run"))
_NEW_EVENTS = sa.insert(EVENTS)
_COUNTED = (
    sa.update(RUNS)
    .where(RUNS.c.number == sa.bindparam("run"), RUNS.c.state.not_in(TERMINAL))
    .values(events=sa.bindparam("count"))
)


def accept(connection: sa.Connection, run: NewRun) -> tuple[StoredRun, bool]:
    """Write a run, its document and its first event; or find the run that has its idempotency key."""
    if run.idempotency_key is not None and (known := run_by_key(connection, run.idempotency_key)) is not None:
        if known.request_sha256 != run.request_sha256:
            raise ConflictError(
                "this idempotency key was used for another request", hint="draw a new key for each request"
            )
        return known, False
    if connection.scalar(sa.select(RUNS.c.number).where(RUNS.c.id == run.id)) is not None:
        raise ConflictError(f"there is a run {run.id} already")
    values = {name: getattr(run, name) for name in NewRun.__dataclass_fields__ if name != "document"}
    values |= {"document": _document_number(connection, run.document), "state": "pending", "events": 1}
    number = connection.execute(sa.insert(RUNS).values(values).returning(RUNS.c.number)).scalar_one()
    first = first_event(run)
    connection.execute(sa.insert(EVENTS), [{"run": number, "id": first.pop("id"), "data": first}])
    return run_by_id(connection, run.id), True


def _document_number(connection: sa.Connection, document: StoredDocument) -> int:
    same = sa.select(DOCUMENTS.c.number).where(
        DOCUMENTS.c.digest == document.digest,
        DOCUMENTS.c.folder == document.folder,
        DOCUMENTS.c.files == document.files,
    )
    number = connection.scalar(same)
    if number is None:
        values = {name: getattr(document, name) for name in StoredDocument.__dataclass_fields__}
        number = connection.execute(sa.insert(DOCUMENTS).values(values).returning(DOCUMENTS.c.number)).scalar_one()
    return int(number)


def append(
    connection: sa.Connection,
    run_id: str,
    events: Sequence[dict[str, Any]],
    *,
    state: str | None = None,
    started: float | None = None,
    finish: Finish | None = None,
) -> list[dict[str, Any]]:
    """Write events with their numbers; then change the row, unless it is finished."""
    row = connection.execute(_STANDING, {"run": run_id}).first()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}")
    if row.state in TERMINAL:
        raise ConflictError(f"the run {run_id} is {row.state}; it changes no more")
    numbered = [{**event, "id": number} for number, event in enumerate(events, row.events + 1)]
    if numbered:
        connection.execute(
            _NEW_EVENTS,
            [
                {"run": row.number, "id": event["id"], "data": {k: v for k, v in event.items() if k != "id"}}
                for event in numbered
            ],
        )
    values: dict[str, Any] = {"events": row.events + len(numbered)}
    if started is not None:
        values["started"] = started
    if finish is not None:
        values |= {"state": finish.state, "interruption": None}
        values |= {"output": finish.output, "error": finish.error, "record": finish.record}
        values["finished"] = time.time() if finish.finished is None else finish.finished
    elif state is not None:
        values |= {"state": state, "interruption": _interruption(events) if state == "interrupted" else None}
    if len(values) == 1:
        connection.execute(_COUNTED, {"run": row.number, "count": values["events"]})
    else:
        change = sa.update(RUNS).where(RUNS.c.number == row.number, RUNS.c.state.not_in(TERMINAL)).values(values)
        connection.execute(change)
    return [{"id": event["id"], **event} for event in numbered]


def _interruption(events: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    for event in reversed(events):
        if event["type"] == "state" and event.get("state") == "interrupted":
            return {key: value for key, value in event.items() if key not in ("id", "type", "time")}
    return None


def delete(connection: sa.Connection, run_id: str) -> None:
    """Delete a finished run, its events, and its document when no other run has it."""
    row = connection.execute(sa.select(RUNS.c.number, RUNS.c.state).where(RUNS.c.id == run_id)).first()
    if row is None:
        raise NotFoundError(f"there is no run {run_id}")
    if row.state not in TERMINAL:
        raise ConflictError(f"the run {run_id} is {row.state}", hint="cancel it first")
    connection.execute(sa.delete(RUNS).where(RUNS.c.number == row.number))
    _drop_unused_documents(connection)


def retain(connection: sa.Connection, *, max_age: float | None, max_count: int | None, now: float) -> int:
    """Delete finished runs that ended too long ago, and the oldest of those that are too many; return how many."""
    finished = RUNS.c.state.in_(TERMINAL)
    count = 0
    if max_age is not None:
        count += connection.execute(sa.delete(RUNS).where(finished, RUNS.c.finished < now - max_age)).rowcount
    if max_count is not None:
        kept = sa.select(RUNS.c.number).where(finished).order_by(RUNS.c.number.desc()).limit(max_count)
        count += connection.execute(sa.delete(RUNS).where(finished, RUNS.c.number.not_in(kept))).rowcount
    if count:
        _drop_unused_documents(connection)
    return count


def _drop_unused_documents(connection: sa.Connection) -> None:
    unused = sa.exists().where(RUNS.c.document == DOCUMENTS.c.number)
    connection.execute(sa.delete(DOCUMENTS).where(~unused))
