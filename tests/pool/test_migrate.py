"""Migrations: each whole or not at all, and a pool of any older version comes forward."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from studio.engine.api import Completion, FinishReason, SamplingParams
from studio.errors import PoolError
from studio.pool import schema
from studio.pool.migrate import migrate, statements
from studio.pool.pool import Pool, Queries
from studio.pool.records import PlannedRequest
from studio.records import Stage
from support.dying import DIED, die_at
from support.pools import ask, assert_sound, contents, digest, in_child, make_pool, walk_round

NOW = schema.VERSION
NEXT = """
CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL); -- a remark; with a semicolon
INSERT INTO notes (text) SELECT instruction FROM tasks WHERE id = 1;
CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN
    UPDATE notes SET text = 'a;b' WHERE id = new.id;
    DELETE FROM notes WHERE id = 0;
END;
"""
BROKEN = "CREATE TABLE halfway (id INTEGER); UPDATE tasks SET name = 'lost'; INSERT INTO no_such_table VALUES (1);"
ROUND_OF_VERSION_1 = """
INSERT INTO models VALUES (1, 'ab', 'Tiny', '', '', '', 1, 1, 1);
INSERT INTO runs VALUES (1, '{}', '0', '0.1.0', 1, '2026-01-01T00:00:00Z');
INSERT INTO rounds VALUES (1, 1, 1, 'instructions', '2026-01-01T00:00:00Z', NULL);
INSERT INTO prompts VALUES (1, 'cd', 'Come up with tasks:');
INSERT INTO sampling VALUES (1, '{"temperature": 0.7, "max_tokens": 3, "stop": ["16."]}');
INSERT INTO requests VALUES (1, 1, 'instructions', 0, NULL, 1, '1. Sing.', 1, 7);
INSERT INTO completions VALUES (1, ' Dance.', 'stop', '16.', 5, 4, 3, 0.5);
"""
DANGLING = "INSERT INTO request_parents (request_id, position, task_id) VALUES (1, 0, 999)"


def _with(monkeypatch: pytest.MonkeyPatch, *more: str) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, *more))


def test_scripts_fall_into_whole_statements() -> None:
    parts = list(statements(NEXT))
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
    _with(monkeypatch, NEXT)
    with pytest.raises(PoolError, match=f"has version {NOW}, reading needs version {NOW + 1}"):
        Queries.open(path)
    with Pool.open(path) as pool:
        assert pool.reader.counts().generated == 2
    assert ask(path, "PRAGMA user_version") == [(NOW + 1,)]
    after = contents(path)
    assert after.pop("notes") == [(1, "Describe the animal with number 1.")]
    assert after == before
    assert_sound(path)


def test_a_pool_of_version_1_reads_as_before_and_takes_probabilities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pool.db"
    monkeypatch.setattr(schema, "MIGRATIONS", schema.MIGRATIONS[:1])
    make_pool(path)
    monkeypatch.undo()
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(ROUND_OF_VERSION_1)
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    with Pool.open(path) as pool:
        [request] = pool.reader.requests(1, Stage.INSTRUCTIONS)
        assert request.params == SamplingParams(temperature=0.7, max_tokens=3, stop=("16.",))
        [stored] = pool.reader.completions(1, Stage.INSTRUCTIONS)
        assert stored.completion == Completion(" Dance.", FinishReason.STOP, 5, 3, 4, 0.5, "16.", None)
        pool.plan_requests(1, Stage.CLASSIFY, [PlannedRequest("Is it?", "", replace(request.params, choices=(" Yes", " No")), 1)], None)
        chosen = Completion(" No", FinishReason.STOP, 9, 0, probability=0.125)
        pool.store_completions(1, Stage.CLASSIFY, [chosen], None)
        assert pool.reader.completions(1, Stage.CLASSIFY)[0].completion == chosen
        assert pool.reader.requests(1, Stage.CLASSIFY)[0].params.choices == (" Yes", " No")
    assert ask(path, "SELECT probability FROM completions ORDER BY request_id") == [(None,), (0.125,)]
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
            migrate(connection, path, (*schema.MIGRATIONS, NEXT, BROKEN))
        assert not connection.in_transaction
        assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert ask(path, "PRAGMA user_version") == [(NOW + 1,)]
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
            die_at(connection, deadline)
            migrate(connection, path, (*schema.MIGRATIONS, NEXT))

        code = in_child(migrate_and_die)
        version = ask(path, "PRAGMA user_version")[0][0]
        assert_sound(path)
        if version == NOW + 1:
            last = deadline
            break
        assert code == DIED
        assert version == NOW
        assert contents(path) == before
    assert last > 6
    assert "notes" in contents(path)


def test_a_first_migration_that_fails_makes_no_pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "MIGRATIONS", (schema.MIGRATIONS[0] + BROKEN,))
    with pytest.raises(PoolError):
        Pool.create(tmp_path / "pool.db", [])
    assert [file.name for file in tmp_path.iterdir()] == ["pool.db.lock"]
