"""One writer a pool: the second is told who the first is, and a dead one holds nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from studio.errors import PoolError
from studio.pool.pool import Pool, Queries
from support.pools import ask, assert_sound, digest, in_child, make_pool, seed_tasks, walk_round


def test_a_second_writer_is_told_who_holds_the_pool(pool: Pool) -> None:
    before = digest(pool.path)
    writer = pool.writer()
    assert writer is not None
    assert (writer.pid, writer.host) == (os.getpid(), socket.gethostname())

    def attempt() -> None:
        with pytest.raises(PoolError) as caught:
            Pool.open(pool.path)
        for word in (str(writer.pid), writer.host, writer.since, str(pool.path)):
            assert word in caught.value.message
        assert "read" in caught.value.hint

    attempt()
    assert in_child(attempt) == 0
    assert digest(pool.path) == before
    walk_round(pool)


def test_a_pool_being_made_again_is_refused(pool: Pool) -> None:
    with pytest.raises(PoolError, match="already exists"):
        Pool.create(pool.path, [])


def test_two_creations_at_once_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"

    class Slow(list):  # type: ignore[type-arg]
        def __iter__(self):  # type: ignore[no-untyped-def]
            with pytest.raises(PoolError, match="being written by another process"):
                Pool.create(path, [])
            return super().__iter__()

    Pool.create(path, Slow(seed_tasks(2))).close()
    assert_sound(path)


def test_readers_look_on_beside_the_writer(pool: Pool) -> None:
    with Queries.open(pool.path) as first, Queries.open(pool.path) as second:
        walk_round(pool)
        assert first.figures.counts() == second.figures.counts() == pool.figures.counts()
        assert first.figures.counts().generated == 2


def test_closing_gives_the_pool_free(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    pool = Pool.open(path)
    pool.close()
    pool.close()
    assert ask(path, "SELECT * FROM writer") == []
    Pool.open(path).close()


def test_a_killed_writer_holds_nothing_and_loses_nothing(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")

    def walk_and_die() -> None:
        walk_round(Pool.open(path))
        os._exit(7)

    assert in_child(walk_and_die) == 7
    with Queries.open(path) as queries:
        left = queries.writer()
        assert left is not None
        assert left.pid != os.getpid()
        assert queries.figures.counts().generated == 2
    with Pool.open(path) as pool:
        mine = pool.writer()
        assert mine is not None
        assert mine.pid == os.getpid()
        walk_round(pool)
        assert pool.figures.counts().rounds == 2
    assert_sound(path)


def test_a_failed_opening_gives_the_lock_free(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(PoolError, match="damaged"):
        Pool.open(path)
    path.write_bytes(whole)
    Pool.open(path).close()


def test_a_lock_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    (tmp_path / "pool.db.lock").unlink()
    (tmp_path / "pool.db.lock").mkdir()
    with pytest.raises(PoolError, match="cannot lock pool"):
        Pool.open(path)
