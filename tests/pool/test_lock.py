"""One writer a pool: the second is told who the first is, and a dead one holds nothing."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import warnings
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


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without `flock`, as some network and FUSE folders are."""

    def missing(*_: object) -> None:
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", missing)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_there_is_one_writer_too_and_a_killed_one_holds_nothing(tmp_path: Path) -> None:
    path = make_pool(tmp_path / "pool.db")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Pool.open(path), pytest.raises(PoolError, match=f"being written by process {os.getpid()}"):
            Pool.open(path)

    def open_and_die() -> None:
        walk_round(Pool.open(path))
        os._exit(7)

    assert in_child(open_and_die) == 7
    with Pool.open(path) as pool:
        assert pool.figures.counts().generated == 2


@pytest.mark.usefixtures("without_locks")
@pytest.mark.parametrize("left", ["", "12345\nanother-machine\n"])
def test_without_locks_a_file_that_nobody_can_ask_about_is_named(tmp_path: Path, left: str) -> None:
    path = make_pool(tmp_path / "pool.db")
    lock = tmp_path / "pool.db.lock"
    lock.write_text(left)
    with pytest.raises(PoolError, match="being written") as caught:
        Pool.open(path)
    assert "has no locks" in caught.value.hint and f"delete {lock}" in caught.value.hint
    lock.unlink()
    Pool.open(path).close()
