"""The database itself refuses what must never happen, whoever asks."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from mcnb.server.store import Finish, RunStore
from tests.server.store.conftest import new_run, token

REFUSED = {
    "UPDATE runs SET state = 'pending', finished = NULL WHERE id = 'done'": "finished run never changes",
    "UPDATE runs SET output = '1' WHERE id = 'done'": "finished run never changes",
    "UPDATE OR REPLACE runs SET events = 9 WHERE id = 'done'": "finished run never changes",
    "INSERT INTO events (run, id, data) VALUES (1, 3, '{}')": "takes no more events",
    "INSERT INTO events (run, id, data) VALUES (2, 4, '{}')": "without gaps",
    "INSERT INTO events (run, id, data) VALUES (2, 2, '{}')": "without gaps",
    "UPDATE events SET data = '{}' WHERE run = 2": "an event never changes",
    "UPDATE events SET data = '{}' WHERE run = 1": "an event never changes",
    "DELETE FROM events WHERE run = 2": "with their run only",
    "DELETE FROM events WHERE run = 1": "with their run only",
    "DELETE FROM runs WHERE id = 'open'": "cannot be deleted",
    "UPDATE runs SET state = 'running' WHERE id = 'open'": "CHECK",
    "UPDATE runs SET state = 'completed' WHERE id = 'open'": "CHECK",  # without the moment of its end
    "DELETE FROM documents": "FOREIGN KEY",
}


@pytest.mark.parametrize("statement", REFUSED)
def test_the_database_refuses(store: RunStore, path: Path, statement: str) -> None:
    async def scenario() -> None:
        for name in ("done", "open"):
            await store.accept(new_run(name))
            await store.append(name, [token("a")])
        await store.append("done", [], finish=Finish("completed"))

    asyncio.run(scenario())
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA foreign_keys = ON")
        before = list(connection.iterdump())
        with pytest.raises(sqlite3.IntegrityError, match=REFUSED[statement]):
            connection.execute(statement)
        connection.rollback()
        assert list(connection.iterdump()) == before


def test_events_go_with_their_finished_run(store: RunStore, path: Path) -> None:
    async def scenario() -> None:
        await store.accept(new_run("done"))
        await store.append("done", [token("a")], finish=Finish("completed"))
        await store.delete("done")

    asyncio.run(scenario())
    store.close()
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM events").fetchone() == (0,)
