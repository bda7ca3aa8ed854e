"""Making a pool: complete or not there, and never over another file."""

from __future__ import annotations

import os
import resource
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from studio.errors import ExitCode, PoolError
from studio.pool.pool import Pool, build
from studio.records import SeedTask, TaskState
from support.pools import ask, assert_sound, in_child, make_pool, seed_tasks


def test_a_new_pool_holds_its_seeds_and_no_other_file_but_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "new pool.db"
    with Pool.create(path, seed_tasks(3)) as pool:
        assert pool.path == path
        assert list(pool.tasks.ids()) == [1, 2, 3]
        first = pool.tasks.get(1)
        assert (first.instruction, first.name, first.state) == ("Describe the animal with number 1.", "name 1", TaskState.ACTIVE)
        assert first.instances == seed_tasks(1)[0].instances
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new pool.db", "new pool.db.lock"]
    assert ask(path, "PRAGMA journal_mode") == [("wal",)]
    assert ask(path, "SELECT key FROM tasks ORDER BY id") == [("seed_1",), ("seed_2",), ("seed_3",)]
    assert_sound(path)


def test_a_new_pool_has_the_permissions_of_any_new_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.touch()
    assert stat.S_IMODE(make_pool(tmp_path / "pool.db").stat().st_mode) == stat.S_IMODE(plain.stat().st_mode)


def test_durability_and_foreign_keys_are_on(tmp_path: Path) -> None:
    with Pool.create(tmp_path / "pool.db", []) as pool:
        settings = {name: pool._database.value(f"PRAGMA {name}") for name in ("synchronous", "foreign_keys", "journal_mode")}
        assert settings == {"synchronous": 2, "foreign_keys": 1, "journal_mode": "wal"}


@pytest.mark.parametrize("there", ["file", "folder", "dangling link"])
def test_nothing_is_ever_replaced(tmp_path: Path, there: str) -> None:
    path = tmp_path / "pool.db"
    if there == "file":
        path.write_text("precious")
    elif there == "folder":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(PoolError, match="nowhere, which is not there" if there == "dangling link" else "already exists"):
        Pool.create(path, [])
    assert [file.name for file in tmp_path.iterdir()] == ["pool.db"]
    assert there != "file" or path.read_text() == "precious"


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pool.db"

    def seeds() -> Iterator[SeedTask]:
        path.write_text("precious")
        yield from seed_tasks(2)

    with pytest.raises(PoolError, match="already exists"):
        build(path, seeds())
    assert path.read_text() == "precious"
    assert [file.name for file in tmp_path.iterdir()] == ["pool.db"]


def test_without_hard_links_the_pool_is_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert_sound(make_pool(tmp_path / "pool.db"))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["pool.db", "pool.db.lock"]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(PoolError, match=r"folder .*absent does not exist") as caught:
        Pool.create(tmp_path / "absent" / "pool.db", [])
    assert caught.value.hint
    assert caught.value.exit_code is ExitCode.POOL


def test_a_folder_that_cannot_be_written_is_named(open_folder: Path) -> None:
    open_folder.chmod(0o555)

    def attempt() -> None:
        with pytest.raises(PoolError, match="cannot be written"):
            Pool.create(open_folder / "pool.db", [])

    assert in_child(attempt, ordinary_user=True) == 0
    assert list(open_folder.iterdir()) == []


def test_failing_seeds_leave_no_pool(tmp_path: Path) -> None:
    def seeds() -> Iterator[SeedTask]:
        yield from seed_tasks(2)
        raise ValueError("line 3")

    with pytest.raises(ValueError, match="line 3"):
        build(tmp_path / "pool.db", seeds())
    assert list(tmp_path.iterdir()) == []


def test_a_killed_creation_leaves_nothing_that_counts(tmp_path: Path) -> None:
    def seeds() -> Iterator[SeedTask]:
        yield from seed_tasks(2)
        os._exit(7)

    assert in_child(lambda: build(tmp_path / "pool.db", seeds())) == 7
    assert not (tmp_path / "pool.db").exists()
    assert_sound(make_pool(tmp_path / "pool.db"))


def test_a_full_disk_is_named_and_leaves_no_pool(tmp_path: Path) -> None:
    def attempt() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
        with pytest.raises(PoolError, match=r"pool\.db: the disk") as caught:
            Pool.create(tmp_path / "pool.db", seed_tasks(1000))
        assert "space" in caught.value.hint

    assert in_child(attempt) == 0
    assert [file.name for file in tmp_path.iterdir()] == ["pool.db.lock"]


def test_a_loop_of_links_and_a_name_too_long_are_pool_errors(tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    for path in (loop / "pool.db", tmp_path / ("x" * 300)):
        with pytest.raises(PoolError):
            Pool.create(path, [])
        with pytest.raises(PoolError):
            Pool.open(path)
