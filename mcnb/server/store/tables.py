"""The tables as this version reads and writes them. Migrations make them; ``test_migrations`` holds both together."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()


def _json() -> sa.JSON:
    return sa.JSON(none_as_null=True)


STORE = sa.Table(
    "store",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
)

# Two folders may hold the same content: a run keeps the one it was made from.
DOCUMENTS = sa.Table(
    "documents",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),
    sa.Column("folder", sa.Text, nullable=False),
    sa.Column("files", sa.JSON, nullable=False),
    sa.Column("source", sa.JSON, nullable=False),
)

# What may be large comes last: SQLite reads a row only as far as it has to.
RUNS = sa.Table(
    "runs",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("id", sa.Text, nullable=False),
    sa.Column("workflow", sa.Text, nullable=False),
    sa.Column("document", sa.Integer, sa.ForeignKey("documents.number"), nullable=False),
    sa.Column("priority", sa.Text, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("session_id", sa.Text),
    sa.Column("idempotency_key", sa.Text),
    sa.Column("request_sha256", sa.Text),
    sa.Column("kernel_id", sa.Text),
    sa.Column("retry_of", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("events", sa.Integer, nullable=False),
    sa.Column("metadata", _json()),
    sa.Column("error", _json()),
    sa.Column("request", sa.JSON, nullable=False),
    sa.Column("interruption", _json()),
    sa.Column("output", _json()),
    sa.Column("record", _json()),
)

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("run", sa.Integer, sa.ForeignKey("runs.number", ondelete="CASCADE"), primary_key=True),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("data", sa.JSON, nullable=False),
)
