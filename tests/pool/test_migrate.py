"""Migrations: each whole or not at all, and a pool of any older version comes forward."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from studio.errors import PoolError
from studio.pool import schema
from studio.pool.migrate import migrate, statements
from studio.pool.queries import Queries
from studio.pool.store import Pool
from support.pools import ask, assert_sound, contents, digest, in_child, make_pool, walk_round

SECOND = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL); -- a remark; with a semicolon
INSERT INTO notes (text) SELECT instruction FROM tasks WHERE id = 1;
CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN
    UPDATE notes SET text = 'a;b' WHERE id = new.id;
    DELETE FROM notes WHERE id = 0;
END;
"""
BROKEN = "CREATE TABLE halfway (id INTEGER); UPDATE tasks SET name = 'lost'; INSERT INTO no_such_table VALUES (1);"
DANGLING = "INSERT INTO request_parents (request_id, position, task_id) VALUES (1, 0, 999)"


def _with(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS[:1], *more))


def test_scripts_fall_into_whole_statements() -> None:
    parts = list(statements(SECOND))
    assert len(parts) == 3
    assert parts[2].startswith("CREATE TRIGGER")
    assert parts[2].endswith("END;")
    assert list(statements("SELECT 1;\n-- the end")) == ["SELECT 1;", "-- the end"]
    assert list(statements("\n")) == []


def test_an_older_pool_comes_forward_with_all_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_pool(tmp_path / "pool.db")
    with Pool.open(path) as pool:
        walk_round(pool)
    before = contents(path)
    _with(monkeypatch, SECOND)
    with pytest.raises(PoolError, match="has version 1, reading needs version 2"):
        Queries.open(path)
    with Pool.open(path) as pool:
        assert pool.reader.counts().generated == 2
    assert ask(path, "PRAGMA user_version") == [(2,)]
    after = contents(path)
    assert after.pop("notes") == [(1, "Describe the animal with number 1.")]
    assert after == before
    assert_sound(path)


@pytest.mark.parametrize("script", [BROKEN, DANGLING, "COMMIT; DROP TABLE nothing;"])
def test_a_failing_migration_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = make_pool(tmp_path / "pool.db")
    before = digest(path)
    _with(monkeypatch, script)
    with pytest.raises(PoolError):
        Pool.open(path)
    assert digest(path) == before
    monkeypatch.undo()
    Pool.open(path).close()
    assert_sound(path)


def test_the_steps_before_a_failing_one_stay(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        with pytest.raises(PoolError):
            migrate(connection, path, (schema.MIGRATIONS[0], SECOND, BROKEN))
        assert not connection.in_transaction
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert ask(path, "PRAGMA user_version") == [(2,)]
    tables = {name for (name,) in ask(path, "SELECT name FROM sqlite_master")}
    assert "notes" in tables
    assert "halfway" not in tables


def test_a_kill_at_any_statement_of_a_migration_leaves_the_old_version(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    before = contents(path)
    last = 0
    for deadline in range(1, 50):

        def migrate_and_die(deadline: int = deadline) -> None:
            connection = sqlite3.connect(path, isolation_level=None)
            seen = 0

            def count(_: str) -> None:
                nonlocal seen
                seen += 1
                if seen == deadline:
                    os._exit(7)

            connection.set_trace_callback(count)
            migrate(connection, path, (schema.MIGRATIONS[0], SECOND))

        code = in_child(migrate_and_die)
        version = ask(path, "PRAGMA user_version")[0][0]
        assert_sound(path)
        if version == 2:
            last = deadline
            break
        assert code == 7
        assert version == 1
        assert contents(path) == before
    assert last > 6
    assert "notes" in contents(path)


def test_a_first_migration_that_fails_makes_no_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0] + BROKEN,))
    with pytest.raises(PoolError):
        Pool.create(tmp_path / "pool.db", [])
    assert [file.name for file in tmp_path.iterdir()] == ["pool.db.lock"]
