"""What can be asked: each function reads one state of the database, through the connection it is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa

from mcnb.errors import NotFoundError
from mcnb.server.store.rows import STATES, TERMINAL, StoredDocument, StoredRun
from mcnb.server.store.tables import DOCUMENTS, EVENTS, RUNS

_LARGE = ("output", "record")


def _runs(*, whole: bool = True) -> sa.Select[Any]:
    columns = [column for column in RUNS.c if column.name != "document" and (whole or column.name not in _LARGE)]
    return sa.select(*columns, DOCUMENTS.c.digest.label("document_digest")).join(DOCUMENTS)


def _run(row: sa.Row[Any]) -> StoredRun:
    return StoredRun(**row._mapping)


def _found(row: sa.Row[Any] | None, run_id: str) -> StoredRun:
    if row is None:
        raise NotFoundError(f"there is no run {run_id}")
    return _run(row)


def run_by_id(connection: sa.Connection, run_id: str) -> StoredRun:
    """Return a run; raise ``NotFoundError`` when there is none."""
    return _found(connection.execute(_runs().where(RUNS.c.id == run_id)).first(), run_id)


def run_by_key(connection: sa.Connection, key: str) -> StoredRun | None:
    """Return the run that was accepted with an idempotency key."""
    row = connection.execute(_runs().where(RUNS.c.idempotency_key == key)).first()
    return None if row is None else _run(row)


def events_after(connection: sa.Connection, run_id: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Return the events of a run behind a number, in order."""
    number = connection.scalar(sa.select(RUNS.c.number).where(RUNS.c.id == run_id))
    if number is None:
        raise NotFoundError(f"there is no run {run_id}")
    chosen = (
        sa.select(EVENTS.c.id, EVENTS.c.data)
        .where(EVENTS.c.run == number, EVENTS.c.id > after)
        .order_by(EVENTS.c.id)
        .limit(limit)
    )
    return [{"id": row.id, **row.data} for row in connection.execute(chosen)]


def newest(
    connection: sa.Connection,
    *,
    states: Iterable[str] | None,
    workflow: str | None,
    session_id: str | None,
    created_after: float | None,
    created_before: float | None,
    before: int | None,
    limit: int,
) -> list[StoredRun]:
    """Return runs, the newest first, without their outputs and records."""
    chosen = _runs(whole=False).order_by(RUNS.c.number.desc()).limit(limit)
    if states is not None:
        chosen = chosen.where(RUNS.c.state.in_(tuple(states)))
    if workflow is not None:
        chosen = chosen.where(RUNS.c.workflow == workflow)
    if session_id is not None:
        chosen = chosen.where(RUNS.c.session_id == session_id)
    if created_after is not None:
        chosen = chosen.where(RUNS.c.created > created_after)
    if created_before is not None:
        chosen = chosen.where(RUNS.c.created < created_before)
    if before is not None:
        chosen = chosen.where(RUNS.c.number < before)
    return [_run(row) for row in connection.execute(chosen)]


def unfinished(connection: sa.Connection) -> list[StoredRun]:
    """Return the runs that have no terminal state, in the order of acceptance."""
    open_states = tuple(state for state in STATES if state not in TERMINAL)
    return [
        _run(row) for row in connection.execute(_runs().where(RUNS.c.state.in_(open_states)).order_by(RUNS.c.number))
    ]


def document_of_run(connection: sa.Connection, run_id: str) -> StoredDocument:
    """Return the document that a run was made from."""
    chosen = sa.select(DOCUMENTS).join(RUNS, RUNS.c.document == DOCUMENTS.c.number).where(RUNS.c.id == run_id)
    return _document(connection.execute(chosen).first(), f"there is no run {run_id}")


def _document(row: sa.Row[Any] | None, missing: str) -> StoredDocument:
    if row is None:
        raise NotFoundError(missing)
    return StoredDocument(row.digest, row.source, row.folder, row.files)


def counts(connection: sa.Connection) -> dict[str, int]:
    """Return how many runs are in each state; states without runs are left out."""
    chosen = sa.select(RUNS.c.state, sa.func.count()).group_by(RUNS.c.state)
    return {row[0]: row[1] for row in connection.execute(chosen)}
