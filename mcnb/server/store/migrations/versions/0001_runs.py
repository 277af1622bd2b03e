"""Runs, their events and their documents."""

import uuid

from alembic import op

revision = "0001"
down_revision = None

TABLES = (
    "CREATE TABLE store (id TEXT NOT NULL PRIMARY KEY)",
    """
    CREATE TABLE documents (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        digest TEXT NOT NULL,
        folder TEXT NOT NULL,
        files TEXT NOT NULL,
        source TEXT NOT NULL,
        UNIQUE (digest, folder, files)
    )
    """,
    """
    CREATE TABLE runs (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        workflow TEXT NOT NULL,
        document INTEGER NOT NULL REFERENCES documents (number),
        priority TEXT NOT NULL,
        created REAL NOT NULL,
        session_id TEXT,
        idempotency_key TEXT UNIQUE,
        request_sha256 TEXT,
        kernel_id TEXT,
        retry_of TEXT,
        state TEXT NOT NULL CHECK (state IN ('pending', 'processing', 'interrupted', 'cancelling',
                                             'cancelled', 'completed', 'failed')),
        started REAL,
        finished REAL,
        events INTEGER NOT NULL,
        metadata TEXT,
        error TEXT,
        request TEXT NOT NULL,
        interruption TEXT,
        output TEXT,
        record TEXT,
        CHECK ((state IN ('cancelled', 'completed', 'failed')) = (finished IS NOT NULL))
    )
    """,
    """
    CREATE TABLE events (
        run INTEGER NOT NULL REFERENCES runs (number) ON DELETE CASCADE,
        id INTEGER NOT NULL CHECK (id > 0),
        data TEXT NOT NULL,
        PRIMARY KEY (run, id)
    ) WITHOUT ROWID
    """,
    "CREATE INDEX runs_document ON runs (document)",
    "CREATE INDEX runs_state ON runs (state, number)",
    "CREATE INDEX runs_workflow ON runs (workflow, number)",
    "CREATE INDEX runs_session ON runs (session_id, number) WHERE session_id IS NOT NULL",
)

TRIGGERS = (
    """
    CREATE TRIGGER runs_finished_stay BEFORE UPDATE ON runs
    WHEN OLD.state IN ('cancelled', 'completed', 'failed')
    BEGIN SELECT RAISE(ABORT, 'a finished run never changes'); END
    """,
    """
    CREATE TRIGGER runs_unfinished_stay BEFORE DELETE ON runs
    WHEN OLD.state NOT IN ('cancelled', 'completed', 'failed')
    BEGIN SELECT RAISE(ABORT, 'a run that is not finished cannot be deleted'); END
    """,
    """
    CREATE TRIGGER events_end BEFORE INSERT ON events
    WHEN (SELECT state FROM runs WHERE number = NEW.run) IN ('cancelled', 'completed', 'failed')
    BEGIN SELECT RAISE(ABORT, 'a finished run takes no more events'); END
    """,
    """
    CREATE TRIGGER events_follow BEFORE INSERT ON events
    WHEN NEW.id IS NOT (SELECT coalesce(max(id), 0) + 1 FROM events WHERE run = NEW.run)
    BEGIN SELECT RAISE(ABORT, 'events are numbered without gaps'); END
    """,
    """
    CREATE TRIGGER events_never_change BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'an event never changes'); END
    """,
    """
    CREATE TRIGGER events_stay BEFORE DELETE ON events
    WHEN EXISTS (SELECT 1 FROM runs WHERE number = OLD.run)
    BEGIN SELECT RAISE(ABORT, 'events are deleted with their run only'); END
    """,
)


def upgrade() -> None:
    """Make the tables, their guards, and the id of this database."""
    for statement in (*TABLES, *TRIGGERS):
        op.execute(statement)
    op.execute(f"INSERT INTO store (id) VALUES ('{uuid.uuid4().hex}')")  # noqa: S608 - a drawn number
