"""SQLite's errors in words a user can act upon."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from studio.errors import PoolError, UsageError
from studio.pool.database import explain, explained
from studio.pool.pool import Pool

CODES = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "cannot be read or written",
    "SQLITE_READONLY": "cannot be written",
    "SQLITE_BUSY": "has it locked",
    "SQLITE_LOCKED": "has it locked",
    "SQLITE_CORRUPT": "is damaged",
    "SQLITE_NOTADB": "no SQLite database",
    "SQLITE_CANTOPEN": "cannot be opened",
    "SQLITE_PROTOCOL": "the locks of its file system do not work",
    "SQLITE_AUTH": "does not allow",
}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("extended", [0, 3 << 8])
def test_every_error_names_the_pool_and_a_next_step(name: str, extended: int) -> None:
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = getattr(sqlite3, name) | extended
    told = explain(error, Path("/data/pool.db"))
    assert CODES[name] in told.message
    assert "/data/pool.db" in told.message
    assert "what SQLite says" in told.message
    assert told.hint


def test_locks_that_fail_are_no_trouble_of_the_disk() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMLOCK
    told = explain(error, Path("pool.db"))
    assert "locks" in told.message and "local disk" in told.hint


def test_what_is_unknown_is_our_fault() -> None:
    told = explain(sqlite3.IntegrityError("UNIQUE constraint failed"), Path("pool.db"))
    assert "UNIQUE constraint failed" in told.message
    assert "report" in told.hint


def test_text_that_is_no_text_is_damage() -> None:
    assert "damaged" in explain(sqlite3.OperationalError("Could not decode to UTF-8 column 'x'"), Path("pool.db")).message


def test_control_characters_of_a_path_do_not_reach_the_terminal() -> None:
    assert "\x1b" not in explain(sqlite3.OperationalError("x\x1b[2J"), Path("a\x1b[2Jb")).message


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), explained(Path("pool.db")):
        raise KeyError("x")
    with pytest.raises(PoolError), explained(Path("pool.db")):
        raise sqlite3.OperationalError("x")


def test_a_number_that_no_pool_can_hold_is_told_as_one(walked: Pool) -> None:
    assert len(walked.candidates.rejected(2**63 - 1, "rivers")) == 1
    for ask_for in (walked.candidates.rejected, walked.tasks.newest, lambda size: walked.lineage.children(1, size)):
        with pytest.raises(UsageError, match="larger than a pool can hold"):
            ask_for(2**63)
