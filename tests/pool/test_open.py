"""Opening: what is refused, with which words, and that the file stays as it was."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from studio.errors import PoolError
from studio.pool import database
from studio.pool.files import APPLICATION_ID, VERSION
from studio.pool.pool import Pool, Queries
from support.pools import ask, assert_sound, digest, in_child, make_pool, walk_round


def _foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE tasks (id INTEGER)")
        connection.commit()


def _of_version(version: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        make_pool(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")

    return make


def _truncated(path: Path) -> None:
    make_pool(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _overwritten(path: Path) -> None:
    make_pool(path)
    content = bytearray(path.read_bytes())
    # All pages but the first, which holds the header.
    content[4096:] = b"\xa5" * (len(content) - 4096)
    path.write_bytes(content)


def _with_a_name_that_is_no_text(path: Path) -> None:
    make_pool(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute("UPDATE sqlite_master SET name = CAST(x'ff' AS TEXT), sql = 'nonsense' WHERE name = 'dataset'")
        connection.commit()


def _without_tables(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("CREATE TABLE other (id INTEGER)")
        connection.commit()


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.touch(), "is empty, not a pool"),
    "text": (lambda path: path.write_text("hello " * 100), "is no SQLite database"),
    "short": (lambda path: path.write_bytes(b"SQLite format 3\x00"), "is no SQLite database"),
    "foreign": (_foreign, "another program"),
    "newer": (_of_version(99), f"has version 99, this studio knows versions up to {VERSION}"),
    "older": (_of_version(8), f"has version 8, from before the first release; this studio knows version {VERSION}"),
    "truncated": (_truncated, "is damaged"),
    "overwritten": (_overwritten, "is damaged"),
    "nameless": (_with_a_name_that_is_no_text, "is damaged"),
    "without tables": (_without_tables, "its tables are missing"),
}


@pytest.mark.parametrize("kind", BROKEN)
@pytest.mark.parametrize("way", ["write", "read"])
def test_what_is_no_sound_pool_is_refused_and_left_as_it_was(tmp_path: Path, kind: str, way: str) -> None:
    path = tmp_path / "pool.db"
    make, message = BROKEN[kind]
    make(path)
    before, time = digest(path), path.stat().st_mtime_ns
    ways: dict[str, Callable[[], object]] = {
        "write": lambda: Pool.open(path),
        "read": lambda: Queries.open(path),
    }
    with pytest.raises(PoolError, match=message) as caught:
        ways[way]()
    assert str(path) in caught.value.message
    assert caught.value.hint
    assert "\n" not in caught.value.message + caught.value.hint
    assert (digest(path), path.stat().st_mtime_ns) == (before, time)


def test_a_refused_foreign_file_gets_no_companions(tmp_path: Path) -> None:
    _foreign(tmp_path / "other.db")
    with pytest.raises(PoolError):
        Pool.open(tmp_path / "other.db")
    assert [file.name for file in tmp_path.iterdir()] == ["other.db"]


def test_what_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, message in (
        ("absent", "there is no pool at"),
        (".", "is a folder"),
        ("pipe", "a pipe"),
        ("absent/pool", "there is no"),
    ):
        with pytest.raises(PoolError, match=message):
            Pool.open(tmp_path / name)
    with pytest.raises(PoolError, match="cannot read"):
        (tmp_path / "file").touch()
        Pool.open(tmp_path / "file" / "pool.db")


def test_a_newer_version_that_stands_in_the_wal_is_seen_before_anything_moves(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")

    def upgrade_and_die() -> None:
        connection = sqlite3.connect(path)
        connection.execute("PRAGMA user_version = 99")
        os._exit(7)

    assert in_child(upgrade_and_die) == 7
    wal = tmp_path / "pool.db-wal"
    before = (digest(path), digest(wal))
    with pytest.raises(PoolError, match="version 99"):
        Pool.open(path)
    assert (digest(path), digest(wal)) == before


def test_a_write_lock_of_another_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    path = make_pool(tmp_path / "pool.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        before = digest(path)
        with pytest.raises(PoolError, match="another program has it locked"):
            Pool.open(path)
        assert digest(path) == before
        with Queries.open(path) as queries:
            assert queries.figures.counts().seeds == 10
    Pool.open(path).close()


def test_an_exclusive_lock_of_another_program_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.01)
    path = make_pool(tmp_path / "pool.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("DELETE FROM writer")
        attempts: tuple[Callable[[Path], Queries], ...] = (Pool.open, Queries.open)
        for attempt in attempts:
            with pytest.raises(PoolError, match="another program has it locked"):
                attempt(path)


@pytest.mark.parametrize("what", ["file", "folder"])
def test_read_only_places_are_refused_for_writing_and_good_for_reading(open_folder: Path, what: str) -> None:
    path = make_pool(open_folder / "pool.db")
    (open_folder / "pool.db.lock").unlink()
    path.chmod(0o444)
    if what == "folder":
        path.chmod(0o666)
        open_folder.chmod(0o555)
    elif os.geteuid() == 0:
        open_folder.chmod(0o777)
    before = digest(path)

    def attempt() -> None:
        with pytest.raises(PoolError, match=f"the {what} is read-only"):
            Pool.open(path)
        with Queries.open(path) as pool:
            assert pool.figures.counts().seeds == 10
            with pytest.raises(PoolError, match="for reading only"):
                pool.rounds.begin(1)

    assert in_child(attempt, ordinary_user=True) == 0
    assert digest(path) == before
    assert not (open_folder / "pool.db.lock").exists()


def test_an_unreadable_file_is_named(open_folder: Path) -> None:
    path = make_pool(open_folder / "pool.db")
    path.chmod(0)

    def attempt() -> None:
        with pytest.raises(PoolError, match=r"cannot read .*: Permission denied"):
            Pool.open(path)

    assert in_child(attempt, ordinary_user=True) == 0


def test_a_read_only_folder_with_unwritten_commits_is_not_read_past_them(open_folder: Path) -> None:
    path = make_pool(open_folder / "pool.db")

    def walk_and_die() -> None:
        walk_round(Pool.open(path))
        os._exit(7)

    assert in_child(walk_and_die) == 7
    (open_folder / "pool.db-shm").unlink()
    for file in open_folder.iterdir():
        file.chmod(0o644)
    open_folder.chmod(0o555)

    def attempt() -> None:
        # SQLite may serve them from memory or refuse; the state before them must not be shown.
        try:
            with Queries.open(path) as queries:
                assert queries.figures.counts().generated == 2
        except PoolError as error:
            assert "cannot be" in error.message

    assert in_child(attempt, ordinary_user=True) == 0


def test_a_link_to_a_pool_is_that_pool(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    link = tmp_path / "link.db"
    link.symlink_to(path)
    with Pool.open(link) as pool:
        assert pool.path == link
        with pytest.raises(PoolError, match="is being written by process"):
            Pool.open(path)
    assert_sound(path)


def test_odd_names_are_no_trouble(tmp_path: Path) -> None:
    for name in ("a b?c#d%20&e='f.db", "ünï-数据.db", os.fsdecode(b"bad\xff.db")):
        path = make_pool(tmp_path / name)
        with Pool.open(path) as pool, Queries.open(path) as queries:
            walk_round(pool)
            assert queries.figures.counts().generated == 2


def test_a_damaged_page_met_while_reading_is_a_pool_error(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db", 2000)
    pages = (
        ask(path, "SELECT pageno FROM dbstat WHERE name = 'tasks' AND pagetype = 'leaf' ORDER BY pageno DESC LIMIT 1")
        if _dbstat()
        else [(60,)]
    )
    content = bytearray(path.read_bytes())
    start = (pages[0][0] - 1) * 4096
    content[start : start + 4096] = b"\xa5" * 4096
    path.write_bytes(content)
    with Queries.open(path) as queries, pytest.raises(PoolError, match="is damaged"):
        list(queries.tasks.instructions())


def _dbstat() -> bool:
    with closing(sqlite3.connect(":memory:")) as connection:
        return any("DBSTAT" in option for (option,) in connection.execute("PRAGMA compile_options"))


def test_a_pool_that_another_tool_took_out_of_wal_is_put_back(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    assert ask(path, "PRAGMA journal_mode = DELETE") == [("delete",)]
    with Queries.open(path) as queries:
        assert queries.figures.counts().seeds == 10
    Pool.open(path).close()
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
