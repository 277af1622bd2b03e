"""The database file: made, checked, brought to this version's tables, and the two ways to reach it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import QueuePool

from mcnb.errors import InvalidInputError
from mcnb.server.store.tables import STORE

APPLICATION = 0x6D636E62
"""SQLite's field that says whose file it is: "mcnb"."""

_CHECKED = 256 << 20  # bytes: larger files would take too long to read whole at every start
_PATIENCE = 5000  # milliseconds to wait for another program's lock


def prepare(path: Path) -> str:
    """Make the file if it is missing, check it, and migrate it.

    Returns
    -------
    str
        The id of the database.

    Raises
    ------
    InvalidInputError
        It is damaged, or a database of another program, or from a newer version. It is never changed then.
    sqlite3.Error, sqlalchemy.exc.DBAPIError
        It cannot be read or written; see ``unusable``.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    engine = writing_engine(path)
    try:
        new = _check(path)
        for file in (path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")):
            if file.exists():
                file.chmod(0o600)  # prompts and outputs stand in there
        _keep_a_journal(engine, path, new)
        with engine.begin() as connection:
            _migrate(connection, path)
            return str(connection.scalar(sa.select(STORE.c.id)))
    finally:
        engine.dispose()


def _check(path: Path) -> bool:
    """Refuse what is not ours before anything is written; return whether the file is empty yet."""
    engine = reading_engine(path)
    with contextlib.ExitStack() as stack:
        stack.callback(engine.dispose)
        connection = stack.enter_context(engine.connect())
        application = _pragma(connection, "application_id")
        used = bool(connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar())
        if application != APPLICATION and (application or used):
            raise InvalidInputError(
                f"{path} is a database of another program", hint="give the run database another place"
            )
        if path.stat().st_size <= _CHECKED and (found := _pragma(connection, "quick_check(1)")) != "ok":
            raise InvalidInputError(
                f"the run database {path} is damaged: {found}",
                hint="move the file away or restore it; it has been left as it is",
            )
        return not used


def _keep_a_journal(engine: sa.Engine, path: Path, new: bool) -> None:
    connection = engine.raw_connection()
    try:
        cursor = connection.cursor()
        if new:  # before the first page is written, or never: the room of what is deleted goes back to the disk
            cursor.execute("PRAGMA auto_vacuum = FULL")
        mode = cursor.execute("PRAGMA journal_mode = WAL").fetchone()[0]
    finally:
        connection.close()
    if mode != "wal":
        raise InvalidInputError(
            f"the disk of the run database {path} does not support SQLite's write-ahead log",
            hint="put it on a local disk",
        )


def _migrate(connection: sa.Connection, path: Path) -> None:
    """Bring the tables to this version, in the transaction that the connection is in."""
    from alembic import command
    from alembic.config import Config
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    version = MigrationContext.configure(connection).get_current_revision()
    if version is not None and version not in known:
        raise InvalidInputError(
            f"the run database {path} was written by a newer version of mcnb (its tables are version {version})",
            hint="upgrade mcnb, or give this server another database",
        )
    command.upgrade(config, "head")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION}")


READERS = 4
"""Connections for reading that stay open; more are opened when they are needed."""


def writing_engine(path: Path) -> sa.Engine:
    """Return the engine of the one connection that writes; its transactions hold the right to write from the start."""
    pragmas = ("synchronous = FULL", "journal_size_limit = 67108864")
    return _engine(path, begin="BEGIN IMMEDIATE", pragmas=pragmas, kept=1)


def reading_engine(path: Path) -> sa.Engine:
    """Return the engine for reading; each of its transactions sees one state of the database."""
    return _engine(path, begin="BEGIN", pragmas=("query_only = ON",), kept=READERS)


def _engine(path: Path, *, begin: str, pragmas: tuple[str, ...], kept: int) -> sa.Engine:
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=kept,
        max_overflow=-1,
        connect_args={"timeout": _PATIENCE / 1000, "check_same_thread": False, "isolation_level": None},
    )

    @sa.event.listens_for(engine, "connect")
    def connected(connection: Any, _: Any) -> None:
        for pragma in ("foreign_keys = ON", *pragmas):
            connection.execute(f"PRAGMA {pragma}")

    # Python's own handling of transactions would not begin one before a SELECT, nor before a SAVEPOINT.
    @sa.event.listens_for(engine, "begin")
    def begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine


def _pragma(connection: sa.Connection, name: str) -> Any:
    return connection.exec_driver_sql(f"PRAGMA {name}").scalar()
