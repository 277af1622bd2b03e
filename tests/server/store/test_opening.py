"""Opening the file: made private, locked for others, migrated; what is damaged or foreign is refused and left alone."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from mcnb.errors import InvalidInputError
from mcnb.server.store import RunStore
from mcnb.server.store.tables import METADATA
from tests.server.store.conftest import new_run, pragma

POSIX = pytest.mark.skipif(os.name != "posix", reason="file modes")


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@POSIX
def test_nobody_else_can_read_it(store: RunStore, path: Path) -> None:
    asyncio.run(_accept(store))
    assert mode(path.parent) == 0o700
    assert {file.name: mode(file) for file in path.parent.iterdir()} == dict.fromkeys(
        ["runs.db", "runs.db-wal", "runs.db-shm", "runs.db.lock"], 0o600
    )


async def _accept(store: RunStore) -> None:
    await store.accept(new_run("r1"))


@POSIX
def test_a_file_that_others_could_read_is_closed_to_them(open_store: Callable[..., RunStore], path: Path) -> None:
    open_store().close()
    path.chmod(0o644)
    open_store()
    assert mode(path) == 0o600


def test_it_is_written_for_good(store: RunStore) -> None:
    async def scenario() -> None:
        assert await pragma(store, "journal_mode") == "wal"
        assert await pragma(store, "synchronous") == 2
        assert await pragma(store, "foreign_keys") == 1

    asyncio.run(scenario())


def test_a_second_server_is_refused_and_told_who_has_it(store: RunStore, path: Path) -> None:
    with pytest.raises(InvalidInputError, match=rf"process {os.getpid()}\) uses the run database"):
        RunStore.open(path)
    script = f"from mcnb.server.store import RunStore\nfrom pathlib import Path\nRunStore.open(Path({str(path)!r}))"
    other = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert f"process {os.getpid()}) uses the run database" in other.stderr
    asyncio.run(_accept(store))


def test_the_lock_ends_with_its_store(open_store: Callable[..., RunStore], path: Path) -> None:
    open_store().close()
    path.with_name("runs.db.lock").write_text("999999999999\n")  # of a server that was killed
    open_store()


def test_tables_and_migrations_agree(store: RunStore, path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for table in METADATA.sorted_tables:
            found = {row[1]: (bool(row[3]), bool(row[5])) for row in connection.execute(f"PRAGMA table_info({table})")}
            assert found.keys() == set(table.c.keys())
            for column in table.c:
                filled, key = found[column.name]
                assert key == column.primary_key
                assert filled == (not column.nullable) or key


def test_migrating_again_changes_nothing(open_store: Callable[..., RunStore], path: Path) -> None:
    first = open_store()
    asyncio.run(_accept(first))
    first.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
        before = list(connection.iterdump())
    second = open_store()
    second.close()
    assert second.id == first.id
    with closing(sqlite3.connect(path)) as connection:
        assert list(connection.iterdump()) == before


def test_migrating_leaves_logging_alone(open_store: Callable[..., RunStore]) -> None:
    def settings() -> object:
        root = logging.getLogger()
        return root.level, list(root.handlers), logging.getLogger("mcnb").disabled, logging.root.manager.disable

    before = settings()
    open_store()
    assert settings() == before
    assert all(isinstance(handler, logging.NullHandler) for handler in logging.getLogger("alembic").handlers)
    assert logging.getLogger("alembic").level == logging.NOTSET


def test_a_half_made_database_is_made_whole(open_store: Callable[..., RunStore], path: Path) -> None:
    path.parent.mkdir()
    path.touch()  # killed before its first page
    open_store().close()
    path.unlink()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")  # killed before its tables
    asyncio.run(_accept(open_store()))


def test_a_newer_version_is_refused(open_store: Callable[..., RunStore], path: Path) -> None:
    open_store().close()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(InvalidInputError, match=r"newer version of mcnb \(its tables are version 0999\); upgrade mcnb"):
        open_store()


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE runs (x)")


def _text(path: Path) -> None:
    path.write_text("controller:\n  type: http-server\n" * 100)


def _cut(path: Path) -> None:
    RunStore.open(path).close()
    os.truncate(path, path.stat().st_size // 2)


def _overwritten(path: Path) -> None:
    RunStore.open(path).close()
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xa5" * 4096 * 4)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (_foreign, "a database of another program"),
        (_text, "not a database"),
        (_cut, "damaged"),
        (_overwritten, "damaged"),
    ],
)
def test_what_is_no_run_database_is_refused_and_left_alone(
    open_store: Callable[..., RunStore], path: Path, damage: Callable[[Path], None], words: str
) -> None:
    path.parent.mkdir()
    damage(path)
    before, rights = path.read_bytes(), mode(path)
    for _ in range(2):  # the first refusal gives the lock back
        with pytest.raises(InvalidInputError, match=words) as refused:
            open_store()
        assert str(path) in refused.value.message
        assert refused.value.hint
    assert (path.read_bytes(), mode(path)) == (before, rights)


def test_a_place_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file" / "runs.db"):
        with pytest.raises(InvalidInputError, match="cannot be opened"):
            RunStore.open(place)
